"""Endpoints by resource: they check what is asked, ask the core, and shape the answer; no more."""
