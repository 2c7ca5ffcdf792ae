"""A community that does not exist: its fleet, its faults, its live MQTT traffic and its past week.

Everything follows from a seed and a scenario. Nothing here is imported by the product's other parts;
`pulse simulate` and `pulse demo` are the ways in.
"""
