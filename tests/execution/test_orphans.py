"""What ends Ray's leftovers: agents whose raylet is gone, of one process group, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from tao_automl.execution import orphans
from tests.contracts.runtime_contract import group, until

Start = Callable[[str], subprocess.Popen[bytes]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a process of any name, in a process group of its own."""
    started: list[subprocess.Popen[bytes]] = []

    def run(name: str) -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen([name, "300"], executable="/bin/sleep", start_new_session=True))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.parametrize("name", ["ray::DashboardAgent", "ray::RuntimeEnvAgent"])
def test_an_agent_without_a_raylet_is_found_in_its_group_only(start: Start, name: str) -> None:
    agent = start(name)
    assert orphans.agents(agent.pid) == [agent.pid]
    assert agent.pid not in orphans.agents(os.getpgrp())


def test_other_processes_of_the_group_are_none_of_its_business(start: Start) -> None:
    other = start("sleep")
    assert orphans.agents(other.pid) == []


def test_agents_are_ended_when_the_driver_is_gone_and_not_before(start: Start) -> None:
    agent = start("ray::DashboardAgent")
    guard = subprocess.Popen([sys.executable, "-I", "-S", orphans.__file__, str(agent.pid)], stdin=subprocess.PIPE)
    with pytest.raises(subprocess.TimeoutExpired):
        agent.wait(0.5)
    guard.stdin.close()
    until(lambda: group(agent.pid) is None)
    guard.kill()
    guard.wait()
