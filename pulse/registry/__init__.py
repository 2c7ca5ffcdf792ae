"""Communities, kinds, devices and planned quantities as people declare them, and their CSV files.

Storing them is `pulse.stores.relational.registry`.
"""
