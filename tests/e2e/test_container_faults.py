"""What can go wrong in a container, each kind in a trial of its own: what becomes of it, and of the study."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path

import pytest

from tests.e2e.containers import Lab, assert_sound, attempts, wait_for

pytestmark = [pytest.mark.docker, pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(280)]

SKILL = Path(__file__).parents[2] / "skills" / "tao-train-dino"
TRIALS = 17
KILLED, REMOVED, STARVED = 12, 13, 14  # by hands from outside, while they train
FAULTS = (
    *("1:huge_line@0", "2:half_line@0", "3:spurious_failure_line@0"),
    *("4:oom@0", "5.1:oom_no_marshmallow@0", "6.1:sigkill_child@0", "7.1:sigterm_child@0", "8.1:nccl_hang@0"),
    *("9:no_metric@0", "10.1:xid@0", "11:device_assert@0", "15:keyerror@0", "16:nan_assert@0"),
)
HANG_S = 10
ROOM_BYTES = 18 * 2**20  # enough for a trainer to begin


@pytest.fixture(scope="module")
def trials(lab: Lab) -> dict:
    """One study with all of it; what became of each trial."""
    env = ("--env", f"STANDIN_FAULT={','.join(FAULTS)}", "--env", "STANDIN_START_S=0.5")
    more = (*env, "--hang-timeout", f"{HANG_S}s", "--max-failures", "99")
    driver = lab.start(*lab.words("f", TRIALS, *more, epoch_s=0.7))
    hands = [threading.Thread(target=hurt, args=(lab, number), daemon=True) for number in (KILLED, REMOVED, STARVED)]
    for hand in hands:
        hand.start()
    lab.end(driver, timeout_s=200)
    return {trial.number: trial for trial in assert_sound(lab, "f", TRIALS)}


def hurt(lab: Lab, number: int) -> None:
    job = f"f-{number:04d}-1"
    if number == STARVED:  # before it has what it needs
        wait_for(lambda: job in lab.containers("f", every=False), f"{job} runs", 180)
        lab.engine.docker("update", f"--memory={ROOM_BYTES}", f"--memory-swap={ROOM_BYTES}", job)
        return
    wait_for(lambda: lab.trains(job), f"{job} trains", 180)
    if number == KILLED:
        lab.engine.docker("kill", job)
    else:
        lab.engine.docker("rm", "--force", job)


@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_odd_lines_do_no_harm(trials, number) -> None:
    assert (trials[number].state.name, trials[number].user_attrs["attempt"]) == ("COMPLETE", 1)


RETRIED = {
    6: ["host_oom"],
    7: ["interrupted"],  # it ended with exit code 0, and without the line that says it has finished
    8: ["hang"],
    KILLED: ["host_oom"],  # which is what most often kills from outside
    REMOVED: ["lost", "host_oom"],  # the engine kills it before it removes it, and a look can fall in between
}


@pytest.mark.parametrize(("number", "causes"), RETRIED.items())
def test_what_is_no_fault_of_the_config_gets_another_attempt(trials, number, causes) -> None:
    trial = trials[number]
    assert (trial.state.name, trial.user_attrs["attempt"]) == ("COMPLETE", 2)
    assert trial.user_attrs["retries"] in [{cause: 1} for cause in causes]


def test_a_container_that_the_kernel_kills_for_memory_gets_another_attempt(lab: Lab, trials) -> None:
    trial = trials[STARVED]
    assert (trial.state.name, trial.user_attrs["attempt"]) == ("COMPLETE", 2)
    assert trial.user_attrs["retries"] == {"host_oom": 1}


def test_out_of_memory_is_tried_with_half_the_batch_which_is_recorded(lab: Lab, trials) -> None:
    trial = trials[5]
    assert trial.state.name == "COMPLETE"
    assert trial.user_attrs["retries"] == {"gpu_oom": 1}
    assert trial.user_attrs["changed"] == {"dataset.batch_size": 2}
    specs = [(folder / "spec.yaml").read_text() for folder in attempts(lab, "f", 5)]
    assert ["batch_size: 4" in spec for spec in specs] == [True, False]
    assert "batch_size: 2" in specs[1]


def test_out_of_memory_at_half_the_batch_too_is_infeasible(trials) -> None:
    trial = trials[4]
    assert (trial.state.name, trial.user_attrs["reason"]) == ("PRUNED", "gpu_oom")
    assert trial.user_attrs["changed"] == {"dataset.batch_size": 2}
    assert trial.user_attrs["infeasible"]


@pytest.mark.parametrize(("number", "reason"), [(11, "num_classes"), (16, "diverged")])
def test_a_config_that_cannot_run_is_infeasible_at_once(trials, number, reason) -> None:
    trial = trials[number]
    assert (trial.state.name, trial.user_attrs["reason"], trial.user_attrs["attempt"]) == ("PRUNED", reason, 1)
    assert trial.user_attrs["infeasible"]
    assert trial.user_attrs["detail"]


@pytest.mark.parametrize(("number", "reason", "tried"), [(9, "no_metric", 1), (15, "unknown", 2)])
def test_what_nobody_can_mend_fails(trials, number, reason, tried) -> None:
    trial = trials[number]
    assert (trial.state.name, trial.user_attrs["reason"], trial.user_attrs["attempt"]) == ("FAIL", reason, tried)
    assert trial.value is None


def test_a_faulty_gpu_is_used_no_more(lab: Lab, trials) -> None:
    trial = trials[10]
    assert (trial.state.name, trial.user_attrs["retries"]) == ("COMPLETE", {"bad_gpu": 1})
    [event] = lab.said("f", "gpu_quarantined")
    runs = lab.diary.of("f")
    [bad] = runs["f-0010-1"][0].gpus
    assert event["gpus"][0].endswith(f"/{bad}")
    died_s = runs["f-0010-1"][0].ended_s
    assert not [run.job for each in runs.values() for run in each if run.began_s > died_s + 2.0 and bad in run.gpus]


def test_the_log_has_what_was_printed_in_lines(lab: Lab, trials) -> None:
    log = (attempts(lab, "f", 1)[0] / "log.txt").read_bytes()
    assert b"\r" not in log
    assert b"Epoch 0: 1/2" in log
    assert any(len(line) > 100_000 for line in log.splitlines())


def test_a_trainer_sees_its_gpu_and_nothing_of_ours(lab: Lab, trials) -> None:
    seen = json.loads((attempts(lab, "f", 0)[0] / "train" / "standin_env.json").read_text())
    assert seen["leaked"] == []
    assert seen["shm_bytes"] == 64 * 2**20


def test_show_names_the_cause_its_line_and_what_helps(lab: Lab, trials) -> None:
    said = " ".join(lab("show", "f/11").split())
    assert "num_classes" in said
    assert "device-side assert triggered" in said
    assert trials[11].user_attrs["fix"] in said


@pytest.fixture
def newer_skill(tmp_path: Path) -> Path:
    """A skill whose schema has a key that the trainer in the image does not know."""
    folder = tmp_path / "skill"
    shutil.copytree(SKILL, folder)
    path = folder / "schemas" / "train.schema.json"
    schema = json.loads(path.read_text())
    schema["properties"]["train"]["properties"]["sharpness"] = {"type": "integer", "default": 1}
    path.write_text(json.dumps(schema))
    return folder


def test_a_spec_key_that_the_trainer_refuses_ends_the_study_at_trial_0(lab: Lab, newer_skill: Path) -> None:
    """Trial 0 is the launched config: no other trial would do better."""
    more = ("--skill-dir", str(newer_skill), "--set", "train.sharpness=2")
    said = lab(*lab.words("refused", 6, *more), code=1)
    assert "Key 'sharpness' not in" in " ".join(said.split())
    trials = lab.trials("refused")
    assert (trials[0].state.name, trials[0].user_attrs["reason"]) == ("FAIL", "bad_spec")
    assert len(trials) < 6
    assert lab.containers("refused") == []
