"""Simulators: the fleet, its faults, its live traffic and its past."""
