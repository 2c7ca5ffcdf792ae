"""Periodic work, one module a task: each does a bounded piece, may be repeated, and stops when asked to."""
