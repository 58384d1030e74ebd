"""The tick and what must hold of it, on machines with a clock of their own."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tao_automl import jobs
from tao_automl.search import attributes, stopping
from tao_automl.search import study as studies
from tao_automl.tao import spec as spec_file
from tests.fakes.cluster import Script
from tests.fakes.tiny import Bench, plan

GOOD = Script([0.1, 0.3, 0.2])


@pytest.fixture
def bench(tmp_path: Path) -> Callable[..., Bench]:
    """bench(script or function of (trial, attempt), **flags)."""

    def make(script: Script | Callable[[int, int], Script] = GOOD, **flags: object) -> Bench:
        asked = {"trials": 2, "parallel": 1, "pruner": "none", **flags}
        return Bench(plan(tmp_path, **asked), script if callable(script) else lambda _trial, _attempt: script)

    return make


def by_trial(*scripts: Script) -> Callable[[int, int], Script]:
    return lambda trial, _attempt: scripts[min(trial, len(scripts) - 1)]


# A run


def test_a_trial_is_worth_its_best_epoch(bench):
    made = bench(by_trial(Script([0.1, 0.3, 0.2]), Script([0.2, 0.25, 0.4])))
    outcome = made.run()
    assert (outcome.reason, outcome.interrupted) == ("the budget of 2 trials is used", False)
    assert [trial.value for trial in made.trials] == [0.3, 0.4]
    assert [trial.user_attrs[attributes.BEST_EPOCH] for trial in made.trials] == [1, 2]
    assert made.trials[0].intermediate_values == {0: 0.1, 1: 0.3, 2: 0.2}
    assert made.trials[0].user_attrs[attributes.TRAINER_TIME_S] == 30.0
    assert made.trials[0].user_attrs[attributes.NODE] == "box"


def test_the_first_trial_is_the_launched_config(bench):
    made = bench()
    made.run()
    written = spec_file.load(made.plan.paths.attempt(0, 1).spec.read_text())
    assert written == jobs.first_spec(made.plan)
    assert written["train"]["optim"] == {"optimizer": "AdamW", "lr": 2e-4, "weight_decay": 1e-4}


def test_each_attempt_has_what_is_needed_to_run_it_by_hand(bench):
    made = bench()
    made.run()
    for trial in made.trials:
        paths = made.plan.paths.attempt(trial.number, 1)
        written = spec_file.load(paths.spec.read_text())
        assert written["results_dir"] == str(paths.folder)
        assert written["train"]["optim"]["lr"] == trial.user_attrs[attributes.VALUES]["train.optim.lr"]
        assert json.loads(paths.job.read_text())["id"] == f"s-{trial.number:04d}-1"
        assert f"exec tiny train -e {paths.spec}" in paths.run_sh.read_text()
        assert os.access(paths.run_sh, os.X_OK)


def test_as_many_trials_run_at_a_time_as_asked(bench):
    made = bench(trials=5, parallel=3)
    made.run()
    assert made.machines.most_at_once == 3
    assert made.states == ["COMPLETE"] * 5


def test_events_tell_the_story_in_order(bench):
    made = bench(trials=1)
    made.run()
    lines = [json.loads(line) for line in made.plan.paths.events.read_text().splitlines()]
    assert [line["event"] for line in lines] == [
        "trial_started",
        "epoch",
        "epoch",
        "epoch",
        "trial_finished",
        "new_best",
        "study_finished",
    ]
    assert lines[2] | {"time": ""} == {
        "schema": 1,
        "time": "",
        "event": "epoch",
        "study": "s",
        "trial": 0,
        "epoch": 1,
        "epochs": 3,
        "metric": "val_mAP50",
        "value": 0.3,
    }
    assert (lines[4]["state"], lines[4]["epoch"], lines[4]["value"]) == ("COMPLETE", 1, 0.3)
    assert (lines[6]["trial"], lines[6]["value"]) == (0, 0.3)


def test_a_study_lies_on_disk_as_it_does_in_memory(tmp_path):
    made = plan(tmp_path, trials=2, pruner="none", parallel=1)
    storage = studies.open_storage(made.storage_url)
    first = Bench(made, lambda _trial, _attempt: GOOD, storage)
    first.tuner.adopt()
    first.ticks(3)
    first.storage = studies.open_storage(made.storage_url, create=False)
    first.new_driver()
    first.run()
    assert first.states == ["COMPLETE", "COMPLETE"]
    assert len(first.machines.jobs) == 2


# The end of a job


def test_the_state_is_read_before_the_status_file(bench):
    """While the state is asked for, the job writes its last lines and exits: they count."""
    made = bench(trials=1)
    made.tuner.adopt()
    made.ticks(1)
    made.cluster.on_status = lambda: made.machines.advance(100)
    assert made.tuner.tick() == 0
    assert made.states == ["COMPLETE"]
    assert made.trials[0].intermediate_values == {0: 0.1, 1: 0.3, 2: 0.2}


def test_an_exit_code_of_zero_without_the_last_line_is_a_failure(bench):
    made = bench(Script([0.1, 0.2, 0.3], finishes=False), trials=1)
    made.run()
    assert made.states == ["FAIL"]
    assert made.trials[0].user_attrs[attributes.REASON] == "interrupted"


def test_a_training_with_too_few_epochs_is_a_failure(bench):
    made = bench(Script([0.1, 0.2]), trials=1)
    made.run()
    assert made.states == ["FAIL"]


def test_a_failed_trial_says_what_its_log_says(bench):
    log = "epoch 0\ntorch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB\n"
    made = bench(Script([0.1], exit_code=1, finishes=False, log=log), trials=1)
    made.run()
    found = made.trials[0].user_attrs
    assert (found[attributes.REASON], found[attributes.EXIT_CODE]) == ("gpu_oom", 1)
    assert "CUDA out of memory" in found[attributes.DETAIL]
    assert found[attributes.FIX]
    assert made.events("trial_finished")[0]["reason"] == "gpu_oom"


def test_a_failed_trial_never_wins(bench):
    made = bench(by_trial(Script([0.2, 0.2, 0.2]), Script([0.9, 0.9], exit_code=1, finishes=False)))
    made.run()
    assert made.states == ["COMPLETE", "FAIL"]
    assert made.trials[1].value is None
    assert json.loads(made.plan.paths.best_metrics.read_text())["trial"] == 0
    assert made.events("study_finished")[0]["trial"] == 0


def test_an_epoch_whose_metric_is_nan_has_no_value(bench):
    made = bench(Script([math.nan, 0.2, math.inf]), trials=1)
    made.run()
    assert made.states == ["COMPLETE"]
    assert made.trials[0].intermediate_values == {1: 0.2}
    assert made.trials[0].value == 0.2


def test_a_training_whose_metric_is_never_a_number_has_diverged(bench):
    made = bench(Script([math.nan, None, math.nan]), trials=1)
    made.run()
    assert made.states == ["PRUNED"]
    assert made.trials[0].user_attrs[attributes.REASON] == "diverged"
    assert made.trials[0].constraints == {"feasible": 1.0}
    assert not made.plan.paths.best.exists()


def test_a_training_without_the_metric_has_failed(bench):
    made = bench(Script([None, None, None]), trials=1)
    outcome = made.run()
    assert made.states == ["FAIL"]
    assert made.trials[0].user_attrs[attributes.REASON] == "no_metric"
    assert made.trials[0].user_attrs[attributes.DETAIL].startswith("no epoch reported val_mAP50")
    assert outcome.reason == "the budget of 1 trial is used"
    assert not made.plan.paths.best.exists()


def test_a_metric_to_minimize_is_minimized(bench):
    made = bench(
        by_trial(Script([3.0, 1.5, 2.0], metric="val_loss"), Script([0.5, 0.4, 0.6], metric="val_loss")),
        metric="val_loss",
    )
    made.run()
    assert [trial.value for trial in made.trials] == [1.5, 0.4]
    assert json.loads(made.plan.paths.best_metrics.read_text())["value"] == 0.4


# Pruning


LONG = [0.5, 0.6, 0.7, 0.8, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9]
POOR = [0.1] * 10
PRUNED_FLAGS = {"trials": 5, "epochs": 10, "pruner": "median"}


def four_good_and_one_poor(**of_the_poor: object) -> Callable[[int, int], Script]:
    return by_trial(*[Script(LONG)] * 4, Script(POOR, **of_the_poor))


def test_a_poor_trial_is_stopped_early(bench):
    made = bench(four_good_and_one_poor(), **PRUNED_FLAGS)
    made.run()
    assert made.states == ["COMPLETE"] * 4 + ["PRUNED"]
    assert len(made.trials[4].intermediate_values) < 10
    assert made.trials[4].user_attrs[attributes.EXIT_CODE] == 137
    finished = made.events("trial_finished")[4]
    assert (finished["state"], finished["reason"]) == ("PRUNED", "pruned")


def test_a_driver_killed_between_intent_and_stop_prunes_all_the_same(bench):
    made = bench(four_good_and_one_poor(), **PRUNED_FLAGS)

    class Dead(BaseException):
        pass

    def die(*_: object) -> None:
        raise Dead

    made.cluster.cancel = die
    with pytest.raises(Dead):
        made.run()
    assert made.trials[4].user_attrs[attributes.INTENT] == "pruned"
    assert made.machines.running == ["s-0004-1"]
    made.new_driver()
    made.run()
    assert made.states == ["COMPLETE"] * 4 + ["PRUNED"]


def test_a_pruned_job_that_ended_while_no_driver_lived_is_pruned(bench):
    made = bench(four_good_and_one_poor(stop_s=8.0), **PRUNED_FLAGS)
    made.tuner.adopt()
    while not made.events("trial_stopping"):
        made.ticks(1)
    made.new_driver()
    made.machines.advance(100)
    assert made.machines.jobs["s-0004-1"].exit_code == 137
    made.run()
    assert made.states[4] == "PRUNED"


def test_a_job_that_finishes_before_it_can_be_pruned_is_complete(bench):
    made = bench(four_good_and_one_poor(stop_s=1000.0), **PRUNED_FLAGS)
    made.run()
    assert made.events("trial_stopping")
    assert made.states[4] == "COMPLETE"


def test_a_trainer_that_exits_with_zero_when_stopped_is_pruned(bench):
    made = bench(four_good_and_one_poor(stop_code=0), **PRUNED_FLAGS)
    made.run()
    assert made.states[4] == "PRUNED"


def test_what_is_read_again_after_a_restart_never_prunes(bench):
    made = bench(four_good_and_one_poor(), **PRUNED_FLAGS)
    made.tuner.adopt()
    while "s-0004-1" not in made.machines.jobs:
        made.ticks(1)
    made.new_driver()
    made.machines.advance(86)  # nine poor epochs, and nobody there to stop it
    made.tuner.adopt()
    made.ticks(2, step_s=0.1)
    assert len(made.trials[4].intermediate_values) == 9
    assert not made.events("trial_stopping")
    made.run()
    assert made.states[4] == "COMPLETE"


def test_epochs_after_a_restart_may_prune_again(bench):
    made = bench(four_good_and_one_poor(), **PRUNED_FLAGS)
    made.tuner.adopt()
    while "s-0004-1" not in made.machines.jobs:
        made.ticks(1)
    made.new_driver()
    made.run()
    assert made.states[4] == "PRUNED"


# Restarts


def test_a_job_that_finished_while_no_driver_lived_is_complete(bench):
    made = bench(trials=1)
    made.tuner.adopt()
    made.ticks(1)
    made.new_driver()
    made.machines.advance(1000)
    made.run()
    assert made.states == ["COMPLETE"]
    assert made.trials[0].value == 0.3
    assert list(made.machines.jobs) == ["s-0000-1"]


def test_a_job_that_runs_is_attached_to_and_not_started_twice(bench):
    made = bench(trials=3, parallel=2)
    made.tuner.adopt()
    made.ticks(3)
    running = made.machines.running
    for _ in range(3):
        made.new_driver()
        made.tuner.adopt()
        made.ticks(1, step_s=0.1)
    assert made.machines.running == running
    assert len(made.events("trial_attached")) == 6
    made.run()
    assert made.states == ["COMPLETE"] * 3
    assert sorted(made.machines.jobs) == ["s-0000-1", "s-0001-1", "s-0002-1"]


def test_a_restart_with_fewer_slots_waits_for_the_jobs_that_run(bench, tmp_path):
    made = bench(trials=4, parallel=3)
    made.tuner.adopt()
    made.ticks(1)
    assert len(made.machines.running) == 3
    made.new_driver(plan(tmp_path, trials=4, parallel=1, pruner="none"))
    made.run()
    assert made.states == ["COMPLETE"] * 4
    assert len(made.machines.jobs) == 4


def test_a_finished_study_can_be_given_more_trials(bench, tmp_path):
    made = bench(trials=2)
    made.run()
    made.new_driver(plan(tmp_path, trials=4, parallel=1, pruner="none"))
    made.run()
    assert made.states == ["COMPLETE"] * 4
    assert len(made.machines.jobs) == 4


def test_a_restart_of_a_finished_study_changes_nothing(bench):
    made = bench()
    made.run()
    before = [(trial.state, trial.value, trial.user_attrs) for trial in made.trials]
    best = made.plan.paths.best.stat().st_ino
    made.new_driver()
    assert made.run().interrupted is False
    assert [(trial.state, trial.value, trial.user_attrs) for trial in made.trials] == before
    assert made.plan.paths.best.stat().st_ino == best


def test_a_study_whose_trials_were_deleted_still_goes_on(bench, tmp_path):
    made = bench(trials=1)
    made.run()
    for path in sorted(made.plan.paths.trials.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    made.new_driver(plan(tmp_path, trials=2, parallel=1, pruner="none"))
    made.run()
    assert made.states == ["COMPLETE"] * 2


# Budgets


def test_failures_in_a_row_end_the_study(bench):
    broken = Script([], exit_code=1, finishes=False)
    made = bench(by_trial(broken, GOOD, broken, broken), trials=9, max_failures=2)
    assert made.run().reason == "2 trials failed in a row"
    assert made.states == ["FAIL", "COMPLETE", "FAIL", "FAIL"]


def test_trials_that_end_before_their_time_count_as_failures(bench):
    early = Script([0.1], finishes=False)
    made = bench(by_trial(GOOD, early), trials=9, max_failures=3)
    assert made.run().reason == "3 trials failed in a row"
    assert made.states == ["COMPLETE", "FAIL", "FAIL", "FAIL"]


def test_when_the_time_is_up_the_active_trials_finish(bench):
    made = bench(Script([0.1, 0.2, 0.3], epoch_s=3600.0), trials=9, parallel=2, time="1h", hang_timeout="2h")
    outcome = made.run(step_s=600.0)
    assert (outcome.reason, outcome.interrupted) == ("the budget of 1 h is used", False)
    assert made.states == ["COMPLETE", "COMPLETE"]


def test_time_with_two_trials_side_by_side_is_counted_once(bench):
    made = bench(Script([0.1, 0.2, 0.3], epoch_s=600.0), trials=9, parallel=2, time="1h")
    made.run(step_s=60.0)
    assert made.states == ["COMPLETE"] * 4


def test_budgets_are_counted_from_storage(bench):
    broken = Script([], exit_code=1, finishes=False)
    made = bench(broken, trials=9, max_failures=3)
    made.tuner.adopt()
    while made.states.count("FAIL") < 2:
        made.ticks(1)
    made.new_driver()
    made.run()
    assert made.states == ["FAIL"] * 3


# Interrupts


def test_a_drained_study_finishes_its_active_trials_and_is_resumed(bench):
    made = bench(trials=4, parallel=2)
    made.tuner.adopt()
    made.ticks(2)
    made.tuner.drain("interrupted")
    outcome = made.run()
    assert (outcome.reason, outcome.interrupted) == ("interrupted", True)
    assert made.states == ["COMPLETE", "COMPLETE"]
    made.new_driver()
    assert made.run().interrupted is False
    assert made.states == ["COMPLETE"] * 4


def test_a_study_that_is_drained_with_its_last_trial_is_done(bench):
    made = bench(trials=1)
    made.tuner.adopt()
    made.ticks(2)
    made.tuner.drain("interrupted")
    outcome = made.run()
    assert (outcome.reason, outcome.interrupted) == ("the budget of 1 trial is used", False)


def test_cancelled_trials_are_stopped_and_run_again_on_resume(bench):
    made = bench(trials=3, parallel=2)
    made.tuner.adopt()
    made.ticks(2)
    values = [trial.user_attrs[attributes.VALUES] for trial in made.trials]
    made.tuner.cancel("interrupted")
    outcome = made.run()
    assert (outcome.reason, outcome.interrupted) == ("interrupted", True)
    assert made.machines.running == []
    assert made.states == ["RUNNING", "RUNNING"]
    assert all(trial.user_attrs[attributes.PARKED_S] for trial in made.trials)
    made.new_driver()
    made.run()
    assert made.states == ["COMPLETE"] * 3
    assert sorted(made.machines.jobs) == ["s-0000-1", "s-0000-2", "s-0001-1", "s-0001-2", "s-0002-1"]
    assert [trial.user_attrs[attributes.VALUES] for trial in made.trials[:2]] == values
    assert made.trials[0].user_attrs[attributes.CHECKPOINT].startswith("trials/0000/attempt-2/")


def test_a_cancelled_job_that_finishes_first_is_complete(bench):
    made = bench(Script([0.1, 0.2, 0.3], stop_s=1000.0), trials=1)
    made.tuner.adopt()
    made.ticks(2)
    made.tuner.cancel("interrupted")
    made.run()
    assert made.states == ["COMPLETE"]


def test_a_driver_killed_before_it_could_stop_a_cancelled_job_leaves_no_second_one(bench):
    """The next driver stops the old job before it starts the new attempt."""
    made = bench(trials=1)
    made.tuner.adopt()
    made.ticks(2)
    made.cluster.cancel = lambda *_: None  # the driver dies before the cluster hears of it
    made.tuner.cancel("interrupted")
    made.tuner.tick()
    assert made.trials[0].user_attrs[attributes.INTENT] == "cancelled"
    made.new_driver()
    made.run()
    assert made.machines.most_at_once == 1
    assert made.machines.jobs["s-0000-1"].exit_code == 137
    assert made.states == ["COMPLETE"]


def test_a_parked_trial_costs_no_time(bench):
    made = bench(Script([0.1, 0.2, 0.3], epoch_s=100.0), trials=2, parallel=2, time="10m")
    made.tuner.adopt()
    made.ticks(2, step_s=60.0)
    made.tuner.cancel("interrupted")
    made.run()
    made.machines.advance(24 * 3600)
    used = stopping.spent(made.trials, made.machines.now())
    assert (used.running, used.time_s) == (2, 125.0)
    assert stopping.exhausted(made.tuner.budget, used) == "the budget of 2 trials is used"


def test_a_stop_request_is_found_in_storage(bench):
    made = bench(trials=4)
    made.tuner.adopt()
    made.ticks(2)
    studies.set_study_attributes(made.study, {attributes.STOP: "drain"})
    outcome = made.run()
    assert (outcome.reason, outcome.interrupted) == ("stopped: active trials finish", True)
    assert made.states == ["COMPLETE"]


def test_a_request_to_stop_now_stops_the_active_trials(bench):
    made = bench(trials=4)
    made.tuner.adopt()
    made.ticks(2)
    studies.set_study_attributes(made.study, {attributes.STOP: "now"})
    outcome = made.run()
    assert (outcome.reason, outcome.interrupted) == ("stopped", True)
    assert (made.states, made.machines.running) == (["RUNNING"], [])


# Lost jobs


def test_a_trial_whose_machine_died_gets_a_new_attempt(bench):
    made = bench(trials=2)
    made.tuner.adopt()
    made.ticks(3)
    made.machines.lose()
    made.run()
    assert made.states == ["COMPLETE"] * 2
    assert sorted(made.machines.jobs) == ["s-0000-1", "s-0000-2", "s-0001-1"]
    assert [(event["attempt"], event["reason"]) for event in made.events("trial_retried")] == [(1, "lost")]


def test_a_trial_whose_jobs_are_always_lost_fails(bench):
    made = bench(by_trial(Script([0.1], exit_code=None, finishes=False), GOOD))
    made.run()
    assert made.states == ["FAIL", "COMPLETE"]
    assert sorted(made.machines.jobs) == ["s-0000-1", "s-0000-2", "s-0000-3", "s-0001-1"]
    assert made.trials[0].user_attrs[attributes.REASON] == "lost"
    assert attributes.EXIT_CODE in made.trials[0].user_attrs


def test_attempts_that_the_user_cancelled_are_no_lost_ones(bench):
    lost = Script([0.1], exit_code=None, finishes=False)
    made = bench(lambda _trial, attempt: lost if attempt in (3, 4) else GOOD, trials=1)
    for _ in range(2):
        made.tuner.adopt()
        made.ticks(2)
        made.tuner.cancel("interrupted")
        made.run()
        made.new_driver()
    made.run()
    assert made.states == ["COMPLETE"]
    assert made.trials[0].user_attrs[attributes.ATTEMPT] == 5


def test_a_job_lost_while_the_study_is_stopped_waits_for_resume(bench):
    made = bench(trials=1)
    made.tuner.adopt()
    made.ticks(2)
    made.machines.lose()
    made.tuner.cancel("interrupted")
    assert made.run().interrupted
    assert list(made.machines.jobs) == ["s-0000-1"]
    made.new_driver()
    made.run()
    assert made.states == ["COMPLETE"]


# Checkpoints


def test_while_a_trial_runs_only_its_best_and_latest_checkpoint_stay(bench):
    made = bench(Script([0.1, 0.5, 0.2, 0.3, 0.4]), trials=1, epochs=5)
    made.tuner.adopt()
    made.ticks(9)
    assert made.machines.running
    epochs = [int(re.findall(r"epoch_(\d+)", name)[0]) for name in made.checkpoints(0)]
    assert epochs == [1, 3]


def test_after_the_run_the_best_checkpoints_of_the_top_trials_stay(bench):
    made = bench(lambda trial, _: Script([0.1, (1 + trial) / 10, 0.05]), trials=5)
    made.run()
    kept = [made.checkpoints(number) for number in range(5)]
    assert kept == [[], [], *[["model_epoch_001_step_00020.pth"]] * 3]


def test_all_checkpoints_stay_if_asked(bench):
    made = bench(trials=2, keep_checkpoints="all")
    made.run()
    assert [len(made.checkpoints(number)) for number in range(2)] == [3, 3]


def test_best_holds_spec_checkpoint_and_metrics(bench):
    made = bench(by_trial(Script([0.1, 0.3, 0.2]), Script([0.2, 0.25, 0.7])), trials=2)
    made.run()
    best, attempt = made.plan.paths.best, made.plan.paths.attempt(1, 1)
    assert sorted(path.name for path in best.iterdir()) == [
        "metrics.json",
        "model_epoch_002_step_00030.pth",
        "spec.yaml",
    ]
    assert (best / "model_epoch_002_step_00030.pth").samefile(
        attempt.folder / "train" / "model_epoch_002_step_00030.pth"
    )
    assert (best / "spec.yaml").read_text() == attempt.spec.read_text()
    metrics = json.loads((best / "metrics.json").read_text())
    assert (metrics["trial"], metrics["epoch"], metrics["value"]) == (1, 2, 0.7)
    assert metrics["metrics"]["val_mAP50"] == "0.7"
    assert made.plan.metric.value(metrics["metrics"]) == 0.7


def test_a_trial_without_checkpoint_files_is_complete_without_one(bench):
    made = bench(Script([0.1, 0.2, 0.3], saves=False), trials=1)
    made.run()
    assert made.states == ["COMPLETE"]
    assert attributes.CHECKPOINT not in made.trials[0].user_attrs
    assert json.loads(made.plan.paths.best_metrics.read_text())["checkpoint"] is None
