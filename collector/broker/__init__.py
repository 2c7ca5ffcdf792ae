"""A broker of our own for the demo and for small sites that have none.

A mosquitto of this machine if there is one, else the embedded amqtt in a child process; both read the same
password and access files, in mosquitto's formats. Here is nothing that a site with its own broker needs.
"""

from collector.broker.local import Kind, LocalBroker, start

__all__ = ["Kind", "LocalBroker", "start"]
