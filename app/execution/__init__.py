"""GraphQL itself, for any schema: this package knows nothing of orders."""
