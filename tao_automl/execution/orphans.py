"""Ends what Ray would leave behind for a minute when its driver is killed.

    python -I -S orphans.py GROUP        runs until its stdin ends, that is until the driver has ended

Ray's own processes die with their driver, but for the two agents of a node: these first try for 60 s to tell a
control store that is gone. They are in the driver's process group. Standard library only: it is started
outside the package.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from pathlib import Path

FOR_S = 5.0
POLL_S = 0.2
AGENTS = (b"ray::DashboardAgent", b"ray::RuntimeEnvAgent", b"/dashboard/agent.py", b"/runtime_env/agent/main.py")


def agents(group: int) -> list[int]:
    """Agents of a process group whose raylet has died."""
    return [int(folder.name) for folder in Path("/proc").glob("[0-9]*") if _is_orphan(folder, group)]


def _is_orphan(folder: Path, group: int) -> bool:
    try:
        _, parent, its_group, *_ = (folder / "stat").read_text().rsplit(")", 1)[1].split()
        if int(its_group) != group or not any(name in (folder / "cmdline").read_bytes() for name in AGENTS):
            return False
        return (Path("/proc", parent) / "comm").read_text().strip() != "raylet"
    except OSError:
        return False


def main() -> None:
    sys.stdin.read()
    until_s = time.monotonic() + FOR_S
    while time.monotonic() < until_s:
        for pid in agents(int(sys.argv[1])):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(POLL_S)


if __name__ == "__main__":
    main()
