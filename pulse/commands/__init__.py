"""One module a command: puts the parts together, says what happens; only `pulse.cli` imports it.

The only place in `pulse` that knows the other packages, and only inside functions.
"""
