"""What the tick does about attempts that fail, fall silent or are lost, on machines with a clock of their own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tao_automl.execution.job import JobSpec
from tao_automl.search import attributes
from tao_automl.tao import spec as spec_file
from tests.fakes.cluster import Script
from tests.fakes.tiny import Bench, plan

GOOD = Script([0.1, 0.3, 0.2])
OOM = Script([0.1], exit_code=1, finishes=False, log="RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB.")
NO_DATA = Script([], exit_code=1, finishes=False, log="FileNotFoundError: No such file or directory: '/data/val.json'")
XID = Script([0.1], exit_code=1, finishes=False, log="NVRM: Xid (PCI:0000:3b:00): 79", gpus=("1",))
SILENT = Script([0.1, 0.2], epoch_s=10.0**6)


@pytest.fixture
def bench(tmp_path: Path) -> Callable[..., Bench]:
    """bench(function of (trial, attempt), **flags)."""

    def make(script: Callable[[int, int], Script], **flags: object) -> Bench:
        asked = {"trials": 2, "parallel": 1, "pruner": "none", **flags}
        return Bench(plan(tmp_path, **asked), script)

    return make


def in_order(*scripts: Script) -> Callable[[int, int], Script]:
    """The attempts of trial 0 one after the other; every other trial is good."""
    return lambda trial, attempt: scripts[attempt - 1] if trial == 0 and attempt <= len(scripts) else GOOD


def batch_sizes(made: Bench, number: int, attempts: int) -> list[int]:
    specs = [made.plan.paths.attempt(number, attempt).spec for attempt in range(1, attempts + 1)]
    return [spec_file.load(path.read_text())["dataset"]["batch_size"] for path in specs]


def job(made: Bench, job_id: str) -> JobSpec:
    return made.machines.jobs[job_id].spec


def test_out_of_memory_is_tried_again_with_half_the_batch_and_the_trial_says_so(bench):
    made = bench(in_order(OOM), set="dataset.batch_size=2")
    made.run()
    assert made.states == ["COMPLETE", "COMPLETE"]
    assert batch_sizes(made, 0, 2) == [2, 1]
    trial = made.trials[0]
    assert trial.user_attrs[attributes.CHANGED] == {"dataset.batch_size": 1}
    assert trial.user_attrs[attributes.RETRIES] == {"gpu_oom": 1}
    assert trial.user_attrs[attributes.ATTEMPT] == 2
    (event,) = made.events("trial_retried")
    assert (event["trial"], event["attempt"], event["reason"]) == (0, 1, "gpu_oom")
    assert event["changed"] == {"dataset.batch_size": 1}


def test_what_is_still_too_large_is_infeasible_and_the_sampler_is_told(bench):
    made = bench(in_order(OOM, OOM), set="dataset.batch_size=2")
    outcome = made.run()
    assert made.states == ["PRUNED", "COMPLETE"]
    assert made.trials[0].constraints == {"feasible": 1.0}
    assert made.trials[0].user_attrs[attributes.REASON] == "gpu_oom"
    assert "CUDA out of memory" in made.trials[0].user_attrs[attributes.DETAIL]
    assert attributes.BEST_VALUE not in made.trials[0].user_attrs, "it has won an epoch, and can win nothing"
    assert not outcome.aborted
    assert made.study.best_trial.number == 1


def test_a_change_outlives_a_driver_that_dies_before_the_next_attempt(bench):
    made = bench(in_order(OOM), set="dataset.batch_size=2")
    made.tuner.adopt()
    made.ticks(4)
    assert made.trials[0].user_attrs[attributes.ATTEMPT] == 2
    made.new_driver()
    made.run()
    assert batch_sizes(made, 0, 2) == [2, 1]
    assert made.states == ["COMPLETE", "COMPLETE"]


def test_missing_data_ends_the_study_and_resume_goes_on_once_it_is_there(bench):
    broken = {0, 1}
    made = bench(lambda trial, _attempt: NO_DATA if trial in broken else GOOD, trials=4, parallel=2)
    outcome = made.run()
    assert outcome.aborted
    assert not outcome.interrupted
    assert "/data/val.json" in outcome.reason
    assert made.study.user_attrs[attributes.ABORTED] == outcome.reason
    assert made.states[0] == "FAIL"
    assert len(made.states) == 2, "nothing more was started"
    assert made.machines.running == []
    made.new_driver()
    assert not made.run().aborted
    assert len(made.states) == 4
    assert made.states[2:] == ["COMPLETE", "COMPLETE"]


def test_a_faulty_gpu_is_used_no_more_in_the_study(bench):
    made = bench(in_order(XID), trials=3)
    made.run()
    assert made.states == ["COMPLETE"] * 3
    assert made.study.user_attrs[attributes.QUARANTINE] == ["box/1"]
    assert job(made, "s-0000-1").avoid == ()
    assert [job(made, name).avoid for name in ("s-0000-2", "s-0001-1", "s-0002-1")] == [("box/1",)] * 3
    assert made.events("gpu_quarantined")[0]["gpus"] == ["box/1"]


def test_a_node_that_lacks_the_data_of_a_good_study_is_avoided_by_that_trial_only(bench):
    lacks = Script([], exit_code=None, finishes=False, error="bind source path does not exist: /data/train")
    made = bench(lambda trial, attempt: lacks if (trial, attempt) == (1, 1) else GOOD, trials=3)
    made.run()
    assert made.states == ["COMPLETE"] * 3
    assert [job(made, name).avoid for name in ("s-0001-1", "s-0001-2", "s-0002-1")] == [(), ("box",), ()]


def test_the_same_cause_in_the_first_three_trials_ends_the_study(bench):
    odd = Script([0.1], exit_code=1, finishes=False, log="SomethingError: never seen before")
    made = bench(lambda _trial, _attempt: odd, trials=9, max_failures=9)
    outcome = made.run()
    assert outcome.aborted
    assert made.states == ["FAIL"] * 3
    assert "never seen before" in outcome.reason


def test_a_trial_that_falls_silent_is_stopped_and_tried_again(bench):
    made = bench(in_order(SILENT), hang_timeout="15m")
    made.run(step_s=60.0)
    assert made.states == ["COMPLETE", "COMPLETE"]
    assert made.trials[0].user_attrs[attributes.RETRIES] == {"hang": 1}
    stopped = made.machines.jobs["s-0000-1"]
    assert 900 < stopped.ended_s - stopped.started_s <= 1020
    assert [event["intent"] for event in made.events("trial_stopping")] == ["silent"]


def test_an_epoch_may_take_five_times_as_long_as_the_last_one(bench):
    slow = Script([0.1, 0.2, 0.3], epoch_s=3000.0)  # its status lines say that an epoch takes no time
    made = bench(in_order(slow), trials=1)
    made.run(step_s=100.0)
    assert made.trials[0].user_attrs[attributes.RETRIES] == {"hang": 1}, "the limit is ten minutes at least"
    assert made.states == ["COMPLETE"]


def test_the_log_is_a_sign_of_life_until_the_first_epoch(bench):
    made = bench(in_order(Script([0.1, 0.2, 0.3], epoch_s=3000.0)), trials=1, hang_timeout="10m")
    log = made.plan.paths.attempt(0, 1).log
    made.tuner.adopt()
    for number in range(20):
        made.ticks(1, 140.0)
        log.write_text("downloading\n" * number)
    assert made.machines.running == ["s-0000-1"]
    assert made.events("trial_stopping") == []


def test_waiting_for_an_engine_or_a_node_is_no_silence(bench):
    away = Script([0.1], epoch_s=2000.0, finishes=False, exit_code=1, waits=lambda s: "the engine does not answer")
    made = bench(in_order(away), trials=1, hang_timeout="5m")
    made.tuner.adopt()
    made.ticks(15, 120.0)
    assert made.machines.running == ["s-0000-1"]
    assert [event["detail"] for event in made.events("trial_waiting")] == ["the engine does not answer"]
    assert made.events("trial_stopping") == []


def test_a_trial_that_runs_too_long_is_stopped_and_has_failed(bench):
    made = bench(in_order(Script([0.1] * 9, epoch_s=100.0)), trial_timeout="5m", epochs=9)
    made.run(step_s=50.0)
    assert made.states[0] == "FAIL"
    assert made.trials[0].user_attrs[attributes.REASON] == "timeout"
    stopped = made.machines.jobs["s-0000-1"]
    assert 300 < stopped.ended_s - stopped.started_s <= 400


def test_a_retry_that_must_wait_does_and_others_run_meanwhile(bench):
    pull = Script([], exit_code=None, finishes=False, error="net/http: TLS handshake timeout")
    made = bench(in_order(pull), trials=2, parallel=2)
    made.run(step_s=1.0)
    assert made.states == ["COMPLETE", "COMPLETE"]
    first, second = made.machines.jobs["s-0000-1"], made.machines.jobs["s-0000-2"]
    assert second.started_s - first.started_s >= 10.0


def test_a_container_that_no_trial_knows_is_ended_and_named(bench):
    made = bench(lambda _trial, _attempt: GOOD)
    made.run()
    for job_id in ("s-0007-1", "s-evaluate-001-final", "s-export-001", "other-0007-1"):
        spec = JobSpec(job_id, "train", "none", (), made.plan.paths.folder / job_id, "process")
        made.machines.script_of = lambda _job: SILENT
        made.machines.start(spec)
    made.new_driver(plan(made.plan.paths.folder.parents[1], trials=3, parallel=1, pruner="none"))
    made.machines.script_of = lambda _job: GOOD
    made.run()
    assert made.machines.running == ["s-export-001", "other-0007-1"]
    ended = [("s-0007-1", "box"), ("s-evaluate-001-final", "box")]
    assert [(event["job"], event["node"]) for event in made.events("orphan_stopped")] == ended


def test_what_a_told_trial_left_is_removed_without_a_word(bench):
    made = bench(lambda _trial, _attempt: GOOD, trials=1)
    made.run()
    made.machines.removed.clear()  # the driver died after tell and before the container was removed
    made.new_driver()
    made.run()
    assert made.machines.removed == {"s-0000-1"}
    assert made.events("orphan_stopped") == []


@pytest.mark.parametrize("exit_code", [None, 137, 143])
def test_a_job_that_is_killed_after_it_has_finished_is_complete(bench, exit_code):
    made = bench(in_order(Script([0.1, 0.3, 0.2], exit_code=exit_code)), trials=1)
    made.run()
    assert made.states == ["COMPLETE"]
    assert list(made.machines.jobs) == ["s-0000-1"]
    assert "reason" not in made.events("trial_finished")[0]
