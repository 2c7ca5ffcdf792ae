"""Data sharing: the pure parts."""
