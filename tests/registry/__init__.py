"""Registry files."""
