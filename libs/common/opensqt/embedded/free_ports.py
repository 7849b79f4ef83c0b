"""Finds free TCP ports on loopback."""

import random
import socket

# Below the range that kernels hand out to outgoing connections (32768 on Linux, 49152 elsewhere):
# a port from that range could be taken by any client just while its server restarts.
LOWEST, HIGHEST = 20_000, 31_999
ATTEMPTS_MAX = 1_000


def is_free(port: int) -> bool:
    """Whether a server could listen on 127.0.0.1:`port` now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: a port whose last connections linger in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_ports(count: int) -> list[int]:
    """Return `count` different free ports; random ones, so that runs that start together differ.

    Raises:
        OSError: No free ports were found.
    """
    chooser = random.SystemRandom()
    ports: list[int] = []
    for _ in range(ATTEMPTS_MAX):
        port = chooser.randint(LOWEST, HIGHEST)
        if port not in ports and is_free(port):
            ports.append(port)
        if len(ports) == count:
            return ports
    raise OSError(f"fewer than {count} free TCP ports on 127.0.0.1 in {LOWEST}..{HIGHEST}")
