"""What people and programs ask: the HTTP API, the live stream, the pages, and the periodic work.

`routes` has the endpoints by resource, `jobs` the periodic work, `pages` what people see. It reads the
stores and never talks to the collector; rules and figures come from `pulse`.
"""
