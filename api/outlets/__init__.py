"""Delivering shared data to departments: the outbox, the senders, pulling, and the thread that runs them.

What a delivery is stands in `pulse.sharing`, rows in `pulse.stores.relational`; here are clocks and networks.
"""
