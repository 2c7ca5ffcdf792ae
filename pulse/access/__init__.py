"""Who acts and what they may: roles, passwords, sessions, tokens, lockout, and the audit log.

`roles`, `rules`, `lockout` and `chain` are pure. `people` and `keys` are the use cases: each takes an open
connection of `Database.write()`, so that a change and its audit entry are one transaction. No HTTP here.
"""
