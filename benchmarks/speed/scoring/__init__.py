"""All users ranked in the whole catalogue."""
