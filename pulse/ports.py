"""Finding a port to listen on."""

import socket


def free_port(host: str, wanted: int) -> int:
    """`wanted` if it can be listened on, else a free port chosen by the system."""
    for port in (wanted, 0):
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
                return int(probe.getsockname()[1])
            except OSError:
                continue
    raise OSError(f"no free port on {host}")
