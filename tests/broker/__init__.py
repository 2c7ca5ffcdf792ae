"""The broker that the demo and small sites start for themselves."""
