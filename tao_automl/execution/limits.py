"""The resource limits that containers get: what TAO's documentation asks for, as far as the engine can give it."""

from __future__ import annotations

import re
import socket
import struct
from pathlib import Path

CAP_SYS_RESOURCE = 24

# Pinned memory for NCCL, and a deep stack.
WANTED = {"memlock": -1, "stack": 67108864}


def ulimits(address: str) -> dict[str, int]:
    """Limits by name, -1 for none, for the engine at a socket of this node.

    An engine without the right to raise limits, such as a rootless one, fails to start a container that asks for
    more locked memory than it has itself: there the engine's own limit holds.
    """
    return {name: limit for name, limit in WANTED.items() if name != "memlock" or _may_raise(address)}


def _may_raise(address: str) -> bool:
    if not address.startswith("unix://"):
        return True
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
            peer.settimeout(1.0)
            peer.connect(address.removeprefix("unix://"))
            who = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        pid, uid, _ = struct.unpack("3i", who)
        capabilities = re.search(r"^CapEff:\s*(\w+)$", Path(f"/proc/{pid}/status").read_text(), re.M)
    except OSError:
        return True
    return uid == 0 and (capabilities is None or bool(int(capabilities[1], 16) >> CAP_SYS_RESOURCE & 1))
