"""Who asks, and whether they may: identity of a request, the guard of every endpoint, forms, proxies.

What a role may do stands in `pulse.access.roles`; here it is asked for. Every endpoint declares `Allowed(…)`
or `Open(…)`; the application does not start with one that declares neither.
"""
