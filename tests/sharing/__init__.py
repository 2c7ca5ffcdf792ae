"""Data sharing: what is pure."""
