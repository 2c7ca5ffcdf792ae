"""Delivering to departments, with real servers at the far side."""
