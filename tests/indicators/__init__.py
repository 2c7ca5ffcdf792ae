"""The online rate, asked of a real database."""
