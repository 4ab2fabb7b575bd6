"""What codes of carriers look like, by the public data in `couriers/`, and whether their check digits are right."""
