"""Which GPUs of this node a job gets, so that no two jobs have the same one."""

from __future__ import annotations

import contextlib
import fcntl
import math
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

PROC = Path("/proc/driver/nvidia/gpus")
ROUNDING = 1e-9


def choose(usable: Sequence[str], held: Mapping[str, float], wanted: float) -> tuple[str, ...] | None:
    """Ids for a job, or None if there is no room now.

    Args:
        usable: ids that may be given, in order of preference.
        held: what is taken of each id, 1 for all of it.
        wanted: whole devices, or a share of one below 1. A share goes to the fullest device that has room for
            it, so that whole ones stay free.
    """
    ids = tuple(dict.fromkeys(usable))
    if 0 < wanted < 1:
        room = [gpu for gpu in ids if held.get(gpu, 0.0) + wanted <= 1 + ROUNDING]
        return (max(room, key=lambda gpu: held.get(gpu, 0.0)),) if room else None
    free = tuple(gpu for gpu in ids if held.get(gpu, 0.0) <= 0)
    count = math.ceil(wanted)
    return free[:count] if len(free) >= count else None


def waiting(usable: Sequence[str], holders: Mapping[str, str], wanted: float) -> str:
    """Why `choose` found no room, for people."""
    if not usable:
        return "no GPU of this node may be used"
    if len(usable) < wanted:
        return f"it needs {wanted:g} GPUs, and only {', '.join(usable)} may be used here"
    held = ", ".join(f"{gpu} by {holders[gpu]}" for gpu in usable if gpu in holders)
    return f"not enough GPUs are free: {held}"


def here() -> Path:
    """The folder of this user on this node for what concerns the node only. Made if it is not there."""
    folder = Path(tempfile.gettempdir()) / f"tao-automl-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


@contextlib.contextmanager
def node_lock(name: str = "gpus") -> Iterator[None]:
    """Held by one process or thread of this user on this node at a time. It ends with its holder.

    Raises:
        OSError: the temp folder cannot be written.
    """
    with (here() / f"{name}.lock").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def count_here() -> int:
    """How many NVIDIA GPUs this machine has."""
    with contextlib.suppress(OSError):
        return sum(1 for _ in PROC.iterdir())
    return len(_listed())


@cache
def other_names() -> Mapping[str, str]:
    """From each index to its UUID, and back: one device may be asked for by either. Empty without a driver."""
    found = (re.match(r"GPU (\d+): .*UUID: ([\w-]+)", line) for line in _listed())
    pairs = [(match[1], match[2]) for match in found if match]
    return {**dict(pairs), **{uuid: index for index, uuid in pairs}}


def _listed() -> list[str]:
    try:
        found = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return [line for line in found.stdout.splitlines() if line.startswith("GPU ")]
