"""Sharing of data with departments: the catalogue of kinds of data, what is delivered, and its receipts.

Pure: no I/O, no clock; but for `keyfiles`, which makes and reads keys. Rows are `pulse/stores/relational`'s,
sending is `api/outlets`'s.
"""
