"""The ledger: pure functions from evidence to states, intervals and rates; no I/O, no clocks, no globals.

Times are integers on one axis, the unit is the caller's (the product uses microseconds since 1970, a
replay file any exact fraction of a second). All intervals are half-open. The twelve rules that it keeps
are written out in docs/ledger.md and cited as "rule N" beside the code.
"""
