"""Alembic's scripts: forward only, never changed once released (tests compare with dumps)."""
