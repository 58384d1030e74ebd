"""Limits that an engine can give, by the rights of the process at its socket."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from tao_automl.execution import limits


def test_locked_memory_is_unlimited_where_the_engine_may_raise_it(tmp_path: Path) -> None:
    status = Path("/proc/self/status").read_text()
    mine = int(status.split("CapEff:")[1].split()[0], 16) >> limits.CAP_SYS_RESOURCE & 1
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        server.listen()
        found = limits.ulimits(f"unix://{tmp_path}/s")
    may = bool(mine) and os.getuid() == 0
    assert found == (limits.WANTED if may else {"stack": limits.WANTED["stack"]})


def test_an_engine_that_cannot_be_seen_is_trusted(tmp_path: Path) -> None:
    assert limits.ulimits("tcp://10.0.0.1:2376") == limits.ulimits(f"unix://{tmp_path}/none") == limits.WANTED
