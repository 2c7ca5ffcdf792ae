"""Departments that receive shared data and do not exist: over HTTP, over MQTT 5, and by pulling.

They check what comes as a real one would, keep what they accepted, and misbehave when told to.
`pulse simulate-departments` and `pulse demo` are the ways in.
"""
