"""The demo as a user starts it: one command, a folder, ports."""
