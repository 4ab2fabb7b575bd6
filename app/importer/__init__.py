"""Orders in bulk from a file: read, staged, and merged with what there is."""
