"""Drivers that die, at every moment there is: the next one ends the study as if nothing had happened."""

from __future__ import annotations

import itertools
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tao_automl import endings, events, results, session, tuner
from tao_automl import plan as plans
from tao_automl.search import attributes
from tao_automl.tao import spec as spec_file
from tests.fakes.cluster import Script
from tests.fakes.storage import Killed, dies_after
from tests.fakes.tiny import Bench, plan

GOOD = Script([0.3, 0.5, 0.4, 0.6])
SCRIPTS = [
    GOOD,
    Script([0.9, 0.9, 0.9, 0.9], exit_code=1, finishes=False),
    Script([0.3, 0.5, 0.8, 0.6]),
    GOOD,
    Script([0.1, 0.1, 0.1, 0.1], stop_s=3.0),
]
PAUSES_S = (0.0, 15.0, 1000.0)  # nobody drives: nothing happens, an epoch passes, all jobs end
EPOCH_S = 10.0


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as path:
        yield Path(path)


_numbers = itertools.count()


def study(folder: Path, trials: int = len(SCRIPTS)) -> Bench:
    """Five trials, two at a time: one fails twice, one is the best, one is so poor that it is pruned."""
    made = plan(
        folder,
        studies_dir=str(folder / str(next(_numbers))),
        trials=trials,
        epochs=4,
        parallel=2,
        pruner="median",
    )
    return Bench(made, lambda trial, _attempt: SCRIPTS[trial])


def killed(bench: Bench, effects: int) -> bool:
    """Run until so many effects have happened; False if the study ended before."""
    bench.fuse.left = effects
    try:
        bench.run(EPOCH_S)
    except Killed:
        return True
    finally:
        bench.fuse.left = None
    return False


def resumed(bench: Bench, pause_s: float) -> Bench:
    bench.machines.advance(pause_s)
    bench.new_driver()
    bench.run(EPOCH_S)
    return bench


def assert_as_if_nothing_had_happened(bench: Bench, attempts: int = 1) -> None:
    trials = bench.trials
    assert [trial.number for trial in trials] == list(range(len(SCRIPTS)))
    assert bench.states[4] in ("PRUNED", "COMPLETE")  # what is read again never prunes
    assert bench.states[:4] == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]
    assert [trials[number].value for number in (0, 2, 3)] == [0.6, 0.8, 0.6]
    assert trials[2].intermediate_values == {0: 0.3, 1: 0.5, 2: 0.8, 3: 0.6}
    assert sorted(bench.storage.told) == [trial.number for trial in trials], "told once each"
    assert bench.machines.running == []
    assert bench.machines.most_at_once <= 2
    started = Counter(name.rsplit("-", 1)[0] for name in bench.machines.jobs)
    assert set(started) == {f"s-{number:04d}" for number in range(len(SCRIPTS))}
    assert started.pop("s-0001") <= attempts + 1, "a failure that nothing explains is tried once more"
    assert max(started.values()) <= attempts
    _assert_files(bench)


def _assert_files(bench: Bench) -> None:
    for trial in bench.trials:
        paths = bench.plan.paths.attempt(trial.number, trial.user_attrs[attributes.ATTEMPT])
        optim = spec_file.load(paths.spec.read_text())["train"]["optim"]
        assert {f"train.optim.{name}": value for name, value in optim.items() if name != "optimizer"} == (
            trial.user_attrs[attributes.VALUES]
        )
    kept = {path.parts[-4] for path in bench.plan.paths.trials.rglob("model_epoch_*.pth")}
    assert kept == {"0000", "0002", "0003"}, "the best checkpoints of the top 3 trials"
    link = bench.plan.paths.best / "model_epoch_002_step_00030.pth"
    assert link.resolve().parts[-4:-2] == ("0002", f"attempt-{bench.trials[2].user_attrs[attributes.ATTEMPT]}")
    assert link.exists()
    finished = Counter(event["trial"] for event in bench.events("trial_finished"))
    assert max(finished.values()) == 1
    assert not list(bench.plan.paths.folder.rglob("*.new"))


def test_without_a_kill(folder):
    made = study(folder)
    made.run(EPOCH_S)
    assert made.states[4] == "PRUNED"
    assert_as_if_nothing_had_happened(made)


@pytest.mark.slow
def test_a_driver_may_die_before_any_of_its_effects(folder):
    for effects in itertools.count():
        made = study(folder)
        if not killed(made, effects):
            break
        try:
            assert_as_if_nothing_had_happened(resumed(made, PAUSES_S[effects % 3]))
        except Exception as error:
            raise AssertionError(f"killed before effect {effects}") from error
    assert effects > 100


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(lines=st.integers(0, 3600), pause_s=st.sampled_from(PAUSES_S))
@example(lines=0, pause_s=0.0)
def test_a_driver_may_die_at_any_line(folder, lines, pause_s):
    made = study(folder)
    try:
        with dies_after(lines, tuner, endings, session, results, plans, events):
            made.run(EPOCH_S)
    except Killed:
        resumed(made, pause_s)
    assert_as_if_nothing_had_happened(made)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.integers(0, 40), st.sampled_from(PAUSES_S)), min_size=2, max_size=6))
def test_several_drivers_may_die_one_after_the_other(folder, deaths):
    made = study(folder)
    for effects, pause_s in deaths:
        killed(made, effects)
        made.machines.advance(pause_s)
        made.new_driver()
    assert_as_if_nothing_had_happened(resumed(made, 0.0))


@pytest.mark.parametrize("pause_s", PAUSES_S)
def test_a_driver_may_die_while_it_stops_its_trials(folder, pause_s):
    """Each job that was cancelled is stopped, and each trial gets a new attempt."""
    for effects in itertools.count():
        made = study(folder)
        made.tuner.adopt()
        made.ticks(3, EPOCH_S)
        assert len(made.machines.running) == 2
        made.tuner.cancel("interrupted")
        if not killed(made, effects):
            break
        try:
            assert_as_if_nothing_had_happened(resumed(made, pause_s), attempts=4)
        except Exception as error:
            raise AssertionError(f"killed before effect {effects}") from error
    assert effects > 5
