"""Published tables, made again on the same files."""
