"""Sharing of data with departments: the catalogue of kinds of data, what is delivered, and its receipts.

Pure: no I/O, no clock. Rows are `pulse/stores/relational`'s, sending is `api/outlets`'s.
"""
