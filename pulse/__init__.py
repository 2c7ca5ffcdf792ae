"""The core that the collector, the API and the simulators share.

It imports none of them, knows neither MQTT clients nor web frameworks, and keeps the ledger pure:
time is passed in, storage stays behind `pulse.stores.base`.
"""

__version__ = "0.1.0"
