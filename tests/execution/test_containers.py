"""A job as a container, and what an engine says of one."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tao_automl.execution import containers
from tao_automl.execution.containers import Owner, Place
from tao_automl.execution.job import JobSpec, Mount, Phase

ROOT = Place("node-a", Owner(0, 0, "root"), {"memlock": -1, "stack": 67108864})
USER = Place("node-a", Owner(1000, 100, "ada", (44, 998)), {})


def job(**values: Any) -> JobSpec:
    given = {"image": "reg.example:5000/tao:7", "command": ("net", "train"), "folder": Path("/r/t/1"), **values}
    return JobSpec(id="s-3-1", action="train", runtime="docker", study="s", trial=3, attempt=1, **given)


def inspected(state: dict[str, Any], **values: Any) -> dict[str, Any]:
    known = {"Status": "running", "Pid": 7, "ExitCode": 0, "Error": "", "OOMKilled": False}
    times = {"StartedAt": "2026-11-21T10:00:00.5Z", "FinishedAt": "0001-01-01T00:00:00Z"}
    return {"Name": "/x", "State": {**known, **times, **state}, "Config": {"Labels": None}, "HostConfig": {}, **values}


def test_gpus_are_asked_for_by_id_and_labelled() -> None:
    config = containers.config(job(gpus=2), ("1", "GPU-5"), ROOT, {})
    assert config["HostConfig"]["DeviceRequests"] == [{"DeviceIDs": ["1", "GPU-5"], "Capabilities": [["gpu"]]}]
    assert config["Labels"]["tao-automl.gpus"] == "1,GPU-5"
    assert not any(word.startswith("NVIDIA_VISIBLE_DEVICES") for word in config["Env"])


def test_without_gpus_none_are_seen() -> None:
    config = containers.config(job(), (), ROOT, {})
    assert "DeviceRequests" not in config["HostConfig"]
    assert "NVIDIA_VISIBLE_DEVICES=void" in config["Env"]


def test_a_user_gets_groups_names_and_a_home_in_the_attempts_folder() -> None:
    config = containers.config(job(), (), USER, {})
    assert (config["User"], config["HostConfig"]["GroupAdd"]) == ("1000:100", ["44", "998"])
    env = dict(word.split("=", 1) for word in config["Env"])
    assert (env["USER"], env["LOGNAME"], env["HOME"]) == ("ada", "ada", "/r/t/1/.cache")
    caches = ("XDG_CACHE_HOME", "TORCH_HOME", "TRITON_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR", "MPLCONFIGDIR")
    assert all(env[name].startswith("/r/t/1/.cache") for name in caches)
    assert "User" not in containers.config(job(), (), ROOT, {})


def test_each_path_is_mounted_once_and_the_jobs_folder_is_writable() -> None:
    mounts = (Mount("/data", "/data"), Mount("/data", "/data", read_only=False), Mount("/r/t/1", "/r/t/1"))
    found = containers.config(job(mounts=mounts), (), ROOT, {})["HostConfig"]["Mounts"]
    assert [(mount["Target"], mount["ReadOnly"]) for mount in found] == [("/data", False), ("/r/t/1", False)]


def test_secrets_are_in_the_environment_only() -> None:
    config = containers.config(job(secrets=("KEY",)), (), ROOT, {"KEY": "hush"})
    assert "KEY=hush" in config.pop("Env")
    assert "hush" not in json.dumps(config)
    words = containers.by_hand(job(secrets=("KEY",)), ROOT)
    assert words[words.index("KEY") - 1] == "--env"


@pytest.mark.parametrize(
    ("values", "mode"), [({}, None), ({"network": "none"}, "none"), ({"network": "none", "nodes": 2}, "host")]
)
def test_nodes_that_train_together_share_the_hosts_network(values: dict[str, Any], mode: str | None) -> None:
    assert containers.config(job(**values), (), ROOT, {})["HostConfig"].get("NetworkMode") == mode
    words = containers.by_hand(job(**values), ROOT)
    assert (words[words.index("--network") + 1] if "--network" in words else None) == mode


def test_by_hand_has_the_first_gpus_the_limits_and_the_user() -> None:
    text = " ".join(containers.by_hand(job(gpus=2, shm_bytes=2**30), ROOT))
    assert '--gpus "device=0,1" --shm-size 1073741824 --ulimit memlock=-1 --ulimit stack=67108864' in text
    assert text.endswith("reg.example:5000/tao:7 net train")
    assert '--gpus "device=0" --user 1000:100 --group-add 44 --group-add 998' in " ".join(
        containers.by_hand(job(gpus=0.5), USER)
    )


@pytest.mark.parametrize(
    ("state", "phase", "exit_code", "error"),
    [
        ({"Status": "created", "StartedAt": "0001-01-01T00:00:00Z"}, Phase.PENDING, None, None),
        (
            {"Status": "created", "StartedAt": "0001-01-01T00:00:00Z", "ExitCode": 127, "Error": "no\nsuch"},
            Phase.EXITED,
            None,
            "no such",
        ),
        ({}, Phase.RUNNING, None, None),
        ({"Status": "exited", "ExitCode": 3, "FinishedAt": "2026-11-21T10:00:02+00:00"}, Phase.EXITED, 3, None),
        ({"Status": "exited", "ExitCode": 255, "FinishedAt": "2026-11-21T10:00:02Z"}, Phase.EXITED, None, None),
        ({"Status": "removing", "ExitCode": 3, "FinishedAt": "2026-11-21T10:00:02Z"}, Phase.EXITED, 3, None),
        ({"Status": "dead", "ExitCode": 137, "FinishedAt": "2026-11-21T10:00:02Z"}, Phase.EXITED, 137, None),
    ],
)
def test_a_containers_state_is_the_jobs(state, phase, exit_code, error) -> None:
    status = containers.status("j", inspected(state), "node-a")
    assert (status.phase, status.exit_code, status.error, status.node) == (phase, exit_code, error, "node-a")


def test_an_exit_code_that_was_made_up_after_a_reboot_is_none() -> None:
    began_s = containers.seconds("2026-11-21T10:00:00.5Z")
    found = inspected({"Status": "exited", "ExitCode": 7, "FinishedAt": "2026-11-21T11:00:00Z"})
    assert containers.status("j", found, "n", began_s + 60).exit_code is None
    assert containers.status("j", found, "n", began_s - 60).exit_code == 7
    assert containers.status("j", found, "n", began_s + 7200).exit_code == 7


def test_an_end_that_the_engine_noted_before_the_start_took_no_time() -> None:
    found = inspected({"Status": "exited", "ExitCode": 0, "FinishedAt": "2026-11-21T10:00:00.4Z"})
    status = containers.status("j", found, "n")
    assert status.ended_at_s == status.started_at_s is not None


def test_times_are_read_to_the_nanosecond_and_in_any_zone() -> None:
    assert containers.seconds("1970-01-01T00:00:01.123456789Z") == pytest.approx(1.123456789)
    assert containers.seconds("1970-01-01T02:00:00+02:00") == 0.0
    assert containers.seconds("0001-01-01T00:00:00Z") is None


@pytest.mark.parametrize(
    ("request_", "state", "held"),
    [
        ({"DeviceIDs": ["1"]}, {}, {"1": 1.0}),
        ({"DeviceIDs": ["GPU-a"]}, {}, {"0": 1.0}),
        ({"Count": 2, "DeviceIDs": None}, {}, {"0": 1.0, "1": 1.0}),
        ({"Count": -1}, {"Status": "paused"}, {"0": 1.0, "1": 1.0, "2": 1.0}),
        ({"DeviceIDs": ["1"]}, {"Status": "created"}, {"1": 1.0}),
        ({"DeviceIDs": ["1"]}, {"Status": "created", "Error": "failed"}, {}),
        ({"DeviceIDs": ["1"]}, {"Status": "exited"}, {}),
        ({"DeviceIDs": ["1"], "Capabilities": [["fpga"]]}, {}, {}),
    ],
)
def test_anybodys_container_holds_the_gpus_that_it_asked_for(request_, state, held) -> None:
    requests = [{"Capabilities": [["gpu"]], **request_}]
    found = inspected(state, HostConfig={"DeviceRequests": requests})
    assert containers.held(found, ("0", "1", "2"), {"GPU-a": "0", "0": "GPU-a"}) == held


def test_the_trainer_is_asked_by_a_plain_shell() -> None:
    assert not re.search(r"\b(ps|pgrep|pkill|awk|grep|cat)\b", containers.ASK)
