"""`tao-automl resume`: it goes on, raises the budget, or finds nothing to do."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import pytest

from tests.cli import driven
from tests.cli.driven import Ran
from tests.fakes.cluster import Machines


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return driven.ran(tmp_path_factory.mktemp("good"))


@pytest.fixture
def ended(good: Ran, tmp_path: Path) -> Path:
    """The folder of a study of two trials which has ended, for one test."""
    shutil.copytree(good.folder / "studies", tmp_path / "studies", symlinks=True)
    return tmp_path


@pytest.fixture
def machines(monkeypatch: pytest.MonkeyPatch) -> Machines:
    return driven.replace_ray(monkeypatch)


def test_a_finished_study_has_nothing_left_to_do(machines, call, ended: Path) -> None:
    said = call("resume", "s")
    assert said.code == 0
    assert machines.jobs == {}
    assert said.out.splitlines()[0] == "s: 2 complete; the budget of 2 trials is used"
    assert said.out.splitlines()[-1] == "Next: tao-automl action evaluate s"


def test_more_trials_are_trials_in_all(machines, call, ended: Path) -> None:
    said = call("resume", "s", "--trials", "3", "--parallel", "1")
    assert said.code == 0
    assert list(machines.jobs) == ["s-0002-1"]
    assert "study s resumed: 3 trials, 1 at a time, runtime process" in said.err
    assert said.out.splitlines()[0] == "s: 3 complete; the budget of 3 trials is used"
    assert call("status", "s", "--json").document["budget_trials"] == 3


def test_without_a_name_it_is_the_only_study(machines, call, ended: Path) -> None:
    said = call("resume", "--json")
    assert (said.code, said.err) == (0, "")
    assert [json.loads(line)["event"] for line in said.out.splitlines()] == ["study_resumed", "study_finished"]


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--seed", "3"), "--seed"),
        (("--trials", "none"), "--trials none"),
        (("--trials", "0"), "--trials 0"),
    ],
)
def test_what_cannot_be_changed_is_refused(machines, call, ended: Path, words: tuple[str, ...], named: str) -> None:
    before = (ended / "studies" / "s" / "events.jsonl").read_bytes()
    said = call("resume", "s", *words)
    assert said.code == 2
    assert named in said.err
    assert (ended / "studies" / "s" / "events.jsonl").read_bytes() == before


def test_trials_that_were_killed_start_again(monkeypatch, call, tmp_path: Path) -> None:
    killed = driven.ran(tmp_path, trials=2, signals=[signal.SIGTERM])
    assert (killed.code, call("status", "s", "--json").document["state"]) == (130, "stopped")
    machines = driven.replace_ray(monkeypatch)
    said = call("resume", "s")
    assert said.code == 0
    assert "trial 0 started (defaults), attempt 2" in said.err
    assert said.out.splitlines()[0] == "s: 2 complete; the budget of 2 trials is used"
    assert "s-0000-2" in machines.jobs
