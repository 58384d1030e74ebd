"""`tao-automl run`: what it prints where, and how it ends. The jobs run on machines of the tests."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.cli import driven
from tests.cli.driven import Ran

# A run takes a second or two, so each kind of it is driven once.


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return driven.ran(tmp_path_factory.mktemp("good"))


@pytest.fixture(scope="module")
def as_json(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return driven.ran(tmp_path_factory.mktemp("json"), "--json")


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return driven.ran(tmp_path_factory.mktemp("failed"), trials=1, script=driven.FAILING)


def test_piped_each_event_is_a_line_of_stderr(good: Ran) -> None:
    lines = [line.split(" ", 1)[1] for line in good.err.splitlines()]
    assert lines[0] == "study s started: 2 trials, 2 at a time, runtime process"
    assert "trial 0 started (defaults)" in lines
    assert "trial 1 epoch 3/3 val_mAP50 0.2000" in lines
    assert lines[-1] == "study s ended: the budget of 2 trials is used; best val_mAP50 0.3000 (trial 0)"


def test_stdout_has_the_summary_and_the_next_command(good: Ran) -> None:
    lines = good.out.splitlines()
    assert good.code == 0
    assert lines[0] == "s: 2 complete; the budget of 2 trials is used"
    assert "Best        trial 0 of 2, epoch 1 (counted from 0)" in lines
    assert "Checkpoint  studies/s/best/model_epoch_001_step_00020.pth" in lines
    assert lines[-1] == "Next: tao-automl action evaluate s"


def test_the_files_that_the_summary_names_are_there(good: Ran) -> None:
    facts = dict(line.split(maxsplit=1) for line in good.out.splitlines() if line.strip())
    assert (good.folder / facts["Checkpoint"]).is_file()
    assert (good.folder / facts["Spec"]).is_file()


def test_as_json_there_is_an_event_a_line_and_nothing_else(as_json: Ran) -> None:
    assert (as_json.code, as_json.err) == (0, "")
    events = [json.loads(line) for line in as_json.out.splitlines()]
    kinds = [event["event"] for event in events]
    assert (kinds[0], kinds[-1]) == ("study_started", "study_finished")
    assert (kinds.count("trial_started"), kinds.count("epoch")) == (2, 6)
    assert {event["schema"] for event in events} == {1}
    ends = [event for event in events if event["event"] == "trial_finished"]
    assert [(event["state"], event["value"]) for event in ends] == [("COMPLETE", 0.3), ("COMPLETE", 0.3)]


def test_the_printed_events_are_those_of_the_study(as_json: Ran) -> None:
    assert as_json.out == (as_json.folder / "studies" / "s" / "events.jsonl").read_text(encoding="utf-8")


def test_without_a_result_it_ends_with_1_and_names_the_log_and_the_next_command(failed: Ran) -> None:
    assert failed.code == 1
    assert "trial 0 pruned: gpu_oom; tao-automl show s/0" in failed.err
    log = "studies/s/trials/0000/attempt-1/log.txt"
    assert failed.out.splitlines()[-3:] == [
        "No trial has a result. Trial 0 failed with gpu_oom: torch.OutOfMemoryError: CUDA out of memory.",
        f"Log: {log}",
        "Next: tao-automl show s/0",
    ]
    assert (failed.folder / log).is_file()


def test_the_first_interrupt_lets_trials_finish_and_resume_is_named(tmp_path: Path) -> None:
    ran = driven.ran(tmp_path, trials=9, signals=[signal.SIGINT])
    assert ran.code == 130
    assert ran.out.splitlines()[0].endswith(" complete; interrupted")
    assert ran.out.splitlines()[-1] == "Next: tao-automl resume s"
    assert ran.machines.running == []
    assert all(job.exit_code == 0 for job in ran.machines.jobs.values())


def test_the_second_interrupt_stops_them_and_resume_is_named(tmp_path: Path) -> None:
    ran = driven.ran(tmp_path, "--json", trials=9, signals=[signal.SIGINT, signal.SIGINT])
    assert ran.code == 130
    assert ran.machines.running == []
    assert all(job.exit_code == 137 for job in ran.machines.jobs.values())
    last = json.loads(ran.out.splitlines()[-1])
    assert (last["event"], last["reason"]) == ("study_finished", "interrupted")


def test_a_study_that_exists_is_not_run_again(good: Ran, call) -> None:
    said = call(*driven.run(good.folder))
    assert (said.code, said.out) == (2, "")
    assert said.err.splitlines()[0] == "error: study 's' exists already"
    assert "tao-automl resume s" in said.err
