"""A port of loopback for a process that is to listen there, and again after it was killed."""

from __future__ import annotations

import random
import socket
from contextlib import suppress
from pathlib import Path

_LOWEST = 12000


def free_port() -> int:
    """A port that is free now, and that no outgoing connection takes later: the kernel chooses theirs from a range above.

    Whoever connects again and again to a port of that range where nobody listens yet may even reach itself.
    """
    above = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    draw = random.SystemRandom()
    for _ in range(1000):
        port = draw.randrange(_LOWEST, above) if above > _LOWEST + 1000 else 0
        with suppress(OSError), socket.create_server(("127.0.0.1", port)) as server:
            return int(server.getsockname()[1])
    raise AssertionError("no port is free")
