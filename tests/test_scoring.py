"""Trials that are scored by their evaluate action."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tao_automl import results
from tao_automl.errors import UsageError
from tao_automl.execution.job import JobSpec
from tao_automl.search import attributes
from tests.fakes.cluster import Script
from tests.fakes.tiny import Bench, plan

LOGGED = {0: 0.6, 1: 0.5}  # the log prefers trial 0, the evaluation trial 1
SCORES = {0: 0.3, 1: 0.4}
BROKEN = Script([], exit_code=1, finishes=False, log="FileNotFoundError: [Errno 2] No such file: 'images'\n")


def scripted(evaluate: Callable[[int], Script]) -> Callable[[JobSpec], Script]:
    def script_of(job: JobSpec) -> Script:
        trial = int(job.id.split("-")[1])
        return Script([LOGGED[trial]]) if job.action == "train" else evaluate(trial)

    return script_of


def score(trial: int) -> Script:
    return Script([SCORES[trial]], metric="test_mAP50", saves=False)


@pytest.fixture
def bench(tmp_path: Path) -> Callable[..., Bench]:
    def make(evaluate: Callable[[int], Script] = score, **flags: object) -> Bench:
        asked = {"trials": 2, "parallel": 1, "epochs": 1, "pruner": "none", "eval_action": "evaluate", **flags}
        asked["set"] = "dataset.batch_size=1"
        made = Bench(plan(tmp_path, skill_dir=None, model="dino", **asked), lambda _trial, _attempt: Script([0.0]))
        made.machines.script_of = scripted(evaluate)
        return made

    return make


def test_the_score_decides_and_the_log_is_kept(bench):
    made = bench()
    made.run()
    assert [trial.value for trial in made.trials] == [0.3, 0.4]
    assert [trial.user_attrs[attributes.LOGGED] for trial in made.trials] == [0.6, 0.5]
    assert results.best(made.plan.paths, "s", made.trials, made.plan.metric).trial == 1
    job = made.machines.jobs["s-0001-1-score-1"].spec
    assert job.folder == made.plan.paths.attempt(1, 1).folder / "score-1"
    assert (job.action, job.folder.joinpath("spec.yaml").exists()) == ("evaluate", True)


def test_a_score_that_fails_fails_the_trial_with_its_reason(bench):
    made = bench(lambda trial: BROKEN if trial == 0 else score(trial))
    made.run()
    assert made.states == ["FAIL", "COMPLETE"]
    known = made.trials[0].user_attrs
    assert known[attributes.REASON] == "missing_data"
    assert known[attributes.DETAIL].startswith("evaluate: evaluate failed: FileNotFoundError")
    assert results.best(made.plan.paths, "s", made.trials, made.plan.metric).trial == 1


def test_a_score_without_the_metric_names_what_there_was(bench):
    made = bench(lambda _trial: Script([], saves=False), trials=1)
    made.run()
    assert made.states == ["FAIL"]
    assert made.trials[0].user_attrs[attributes.REASON] == "no_metric"
    assert "nothing reported val_mAP50" in made.trials[0].user_attrs[attributes.DETAIL]


def test_an_action_whose_end_nobody_saw_is_run_again(bench):
    runs: list[int] = []

    def lost_once(trial: int) -> Script:
        runs.append(trial)
        return Script([], exit_code=None, finishes=False, saves=False) if len(runs) == 1 else score(trial)

    made = bench(lost_once, trials=1)
    made.run()
    assert made.states == ["COMPLETE"]
    assert sorted(made.machines.jobs) == ["s-0000-1", "s-0000-1-score-1", "s-0000-1-score-2"]


def test_each_driver_attaches_to_what_the_last_one_started(bench):
    made = bench()
    made.tuner.adopt()
    for _ in range(6):
        made.ticks(3)
        made.new_driver().adopt()
    made.run()
    assert made.states == ["COMPLETE"] * 2
    assert sorted(made.machines.jobs) == ["s-0000-1", "s-0000-1-score-1", "s-0001-1", "s-0001-1-score-1"]


def test_a_study_that_is_stopped_while_it_scores_keeps_the_training(bench):
    made = bench(lambda trial: Script([SCORES[trial]], metric="test_mAP50", saves=False, epoch_s=500), trials=1)
    made.tuner.adopt()
    while "s-0000-1-score-1" not in made.machines.jobs:
        made.ticks(1)
    made.tuner.cancel("stopped")
    assert made.run().interrupted
    assert made.states == ["RUNNING"]
    made.machines.script_of = scripted(score)
    made.new_driver()
    made.run()
    assert made.states == ["COMPLETE"]
    assert sorted(made.machines.jobs) == ["s-0000-1", "s-0000-1-score-1", "s-0000-1-score-2"]


def test_an_action_that_the_model_has_not_is_refused(tmp_path):
    with pytest.raises(UsageError, match="model 'tiny' has no action 'evaluat'"):
        plan(tmp_path, eval_action="evaluat")
