"""Nothing finished is lost, nothing runs twice, nothing is left over: kill -9, Ctrl-C, stop."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest

from tao_automl.errors import StudyError
from tao_automl.search import study
from tao_automl.search.study import FrozenTrial, TrialState

pytestmark = [pytest.mark.ray, pytest.mark.slow]

MANY, FEW, EPOCHS = 8, 6, 3  # trials: for kill after kill, and for one interrupt
SHOWN = tuple(state for state in TrialState if state is not TrialState.WAITING)
SLOW = {"STANDIN_EPOCH_S": "1.0"}


def run_of(name: str, trials: int) -> tuple[str, ...]:
    budget = ("--trials", str(trials), "--epochs", str(EPOCHS), "--pruner", "none", "--parallel", "2")
    return ("run", "--model", "dino", "--name", name, *budget)


WORDS = run_of("k", FEW)


def trials_of(studies: Path, name: str = "k") -> list[FrozenTrial]:
    """What a reader sees, without a wish to change anything."""
    try:
        storage = study.open_readonly(f"sqlite:///{studies / 'studies.db'}")
        return study.load(storage, name).get_trials(states=SHOWN)
    except StudyError:
        return []


def exists(studies: Path, name: str = "k") -> bool:
    """A driver that dies early leaves a study without a trial, or none."""
    try:
        return name in study.names(study.open_readonly(f"sqlite:///{studies / 'studies.db'}"))
    except StudyError:
        return False


def wait_for(condition, timeout_s: float = 60.0) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


@pytest.mark.timeout(900)
def test_twenty_kills_lose_nothing(cli, processes_of) -> None:
    """A study may well end before the last kill on a fast machine: then the next one takes the rest."""
    rng, kills, studies = random.Random(20), 0, 0
    while kills < 20:
        kills += kill_until_it_ends(cli, f"k{studies}", most=20 - kills, rng=rng)
        studies += 1
        assert processes_of(cli.folder) == []


def kill_until_it_ends(cli, name: str, most: int, rng: random.Random) -> int:
    """One study, killed at random moments and resumed, checked at its end; how often it was killed."""
    words = run_of(name, MANY)
    finished: dict[int, tuple] = {}
    kills, ended = 0, None
    while kills < most and ended is None:
        driver = cli.start(*(("resume", name) if exists(cli.studies, name) else words), **SLOW)
        time.sleep(rng.uniform(0.2, 7.0))
        driver.kill()  # which does nothing to a driver that has ended
        said = driver.communicate()
        ended = None if driver.returncode == -signal.SIGKILL else driver.returncode
        assert ended in (None, 0), said
        kills += ended is None
        for trial in trials_of(cli.studies, name):
            if trial.state.is_finished():
                seen = (trial.state, trial.value, trial.params, trial.datetime_complete)
                assert finished.setdefault(trial.number, seen) == seen
    cli(*(("resume", name) if exists(cli.studies, name) else words), **SLOW)
    trials = trials_of(cli.studies, name)
    assert [trial.number for trial in trials] == list(range(MANY))
    assert {trial.state.name for trial in trials} == {"COMPLETE"}
    for trial in trials:
        assert sorted(trial.intermediate_values) == list(range(EPOCHS))
        assert trial.value == max(trial.intermediate_values.values())
        attempts = list((cli.studies / name / "trials" / f"{trial.number:04d}").iterdir())
        assert [path.name for path in attempts] == ["attempt-1"]
        starts = (attempts[0] / "train" / "status.json").read_text().count("Starting DINO train.")
        assert starts == 1, f"trial {trial.number} ran {starts} times"
    return kills


def test_the_first_interrupt_lets_active_trials_finish(cli, processes_of) -> None:
    driver = cli.start(*WORDS, **SLOW)
    wait_for(lambda: len(trials_of(cli.studies)) >= 2)
    os.killpg(driver.pid, signal.SIGINT)
    out, err = driver.communicate(timeout=90)
    assert driver.returncode == 130, out + err
    states = [trial.state.name for trial in trials_of(cli.studies)]
    assert states
    assert set(states) == {"COMPLETE"}
    assert len(states) < FEW
    assert "resume k" in out + err
    assert processes_of(cli.folder) == []


def test_the_second_interrupt_stops_them_and_resume_starts_them_again(cli, processes_of) -> None:
    driver = cli.start(*WORDS, **SLOW)
    wait_for(lambda: any(trial.intermediate_values for trial in trials_of(cli.studies)))
    os.killpg(driver.pid, signal.SIGINT)
    time.sleep(0.3)
    os.killpg(driver.pid, signal.SIGINT)
    out, err = driver.communicate(timeout=60)
    assert driver.returncode == 130, out + err
    assert processes_of(cli.folder) == []
    cut = [trial.number for trial in trials_of(cli.studies) if not trial.state.is_finished()]
    assert cut
    cli("resume", "k")
    trials = trials_of(cli.studies)
    assert {trial.state.name for trial in trials} == {"COMPLETE"}
    assert len(trials) == FEW
    assert all((cli.studies / "k" / "trials" / f"{number:04d}" / "attempt-2").is_dir() for number in cut)


def test_stop_from_another_terminal_ends_the_run(cli) -> None:
    driver = cli.start(*WORDS, **SLOW)
    wait_for(lambda: len(trials_of(cli.studies)) >= 2)
    cli("stop", "k", "--now")
    out, err = driver.communicate(timeout=60)
    assert driver.returncode == 130, out + err
    assert len(trials_of(cli.studies)) < FEW


def test_a_second_driver_is_refused_while_the_first_one_works(cli) -> None:
    driver = cli.start(*WORDS, **SLOW)
    wait_for(lambda: len(trials_of(cli.studies)) >= 1)
    said = cli.start("resume", "k")
    _, err = said.communicate(timeout=30)
    assert said.returncode == 2
    assert str(driver.pid) in err
    cli("stop", "k", "--now")
    driver.communicate(timeout=60)
