"""The stand-in leaves what a TAO container leaves: the same lines, files and exit code, numbers aside."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

SAMPLES = Path(__file__).parents[1] / "data" / "status_samples"
EXIT_CODES = dict(line.split(" exit=") for line in (SAMPLES / "exit_codes.txt").read_text().splitlines())

RUNS: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    "success_3ep": ({}, {}),
    "val_every_2_ckpt_every_4_6ep": (
        {},
        {"train__num_epochs": 6, "train__validation_interval": 2, "train__checkpoint_interval": 4},
    ),
    "topk_val_mAP_max_6ep": (
        {},
        {
            "train__num_epochs": 6,
            "train__checkpoint_interval": 6,
            "train__checkpointer": {"enable_topk": True, "monitor": "val_mAP50", "mode": "max"},
        },
    ),
    "bad_interval": ({}, {"train__checkpoint_interval": 99}),
    "fail_oom": ({"STANDIN_FAULT": "oom@1"}, {}),
    "fail_oom_no_marshmallow": ({"STANDIN_FAULT": "oom_no_marshmallow@1"}, {}),
    "fail_value": ({"STANDIN_FAULT": "value@1"}, {}),
    "fail_fnf": ({"STANDIN_FAULT": "fnf"}, {}),
    "fail_oserror": ({"STANDIN_FAULT": "disk"}, {}),
    "fail_nan": ({"STANDIN_FAULT": "nan@0"}, {}),
    "fail_sigterm": ({"STANDIN_FAULT": "sigterm_child@1"}, {}),
    "fail_sigkill": ({"STANDIN_FAULT": "sigkill_child@1"}, {}),
    "fail_sigint": ({"STANDIN_FAULT": "sigint_child@1"}, {}),
}


def masked(text: str) -> str:
    """Numbers and folders aside."""
    return re.sub(r"\d+(\.\d+)?(e-?\d+)?", "#", re.sub(r"/\S*/(?=\w)", "/", text))


def shape(line: dict[str, Any]) -> list[Any]:
    """Keys in their order, types, and the masked message of a status line."""
    return [
        (key, masked(value) if key in ("message", "status") else [(k, type(v)) for k, v in value.items()])
        if key in ("message", "status", "kpi")
        else (key, type(value))
        for key, value in line.items()
    ]


def shapes(path: Path) -> list[list[Any]]:
    return [shape(json.loads(line)) for line in path.read_text().splitlines()]


def tree(folder: Path) -> list[str]:
    """Files of a results folder as the samples list them, numbers aside."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_dir() or path.name in ("standin_env.json", "spec.yaml"):
            continue
        target = str(path.readlink()) if path.is_symlink() else ""
        found.append(masked(f"./{path.relative_to(folder)} {target}").strip())
    return sorted(found)


def sample_tree(name: str) -> list[str]:
    return sorted(masked(line).strip() for line in (SAMPLES / f"{name}.files.txt").read_text().splitlines())


@pytest.mark.parametrize("name", RUNS)
def test_a_run_leaves_what_the_sample_shows(trainer, name: str) -> None:
    env, overrides = RUNS[name]
    done = trainer("train", env, **overrides)
    assert str(done.returncode) == EXIT_CODES[name], done.stdout
    assert shapes(trainer.folder / "train" / "status.json") == shapes(SAMPLES / f"{name}.status.json")
    assert tree(trainer.folder) == sample_tree(name)


def test_the_same_folder_goes_on_from_its_latest_checkpoint(trainer) -> None:
    assert trainer(train__num_epochs=2).returncode == 0
    assert trainer(train__num_epochs=4).returncode == 0
    name = "resume_same_dir"
    assert shapes(trainer.folder / "train" / "status.json") == shapes(SAMPLES / f"{name}.status.json")
    assert tree(trainer.folder) == sample_tree(name)


def checkpoints(folder: Path) -> list[Path]:
    return sorted((folder / "train").glob("model_epoch_*.pth"))


def test_a_resumed_training_equals_one_that_was_never_cut(trainer, tmp_path_factory) -> None:
    whole = type(trainer)(trainer.data, tmp_path_factory.mktemp("whole"))
    assert whole(train__num_epochs=4).returncode == 0
    assert trainer("train", {"STANDIN_FAULT": "sigterm_child@2"}, train__num_epochs=4).returncode == 0
    assert trainer(train__num_epochs=4).returncode == 0
    assert checkpoints(trainer.folder)[-1].read_bytes() == checkpoints(whole.folder)[-1].read_bytes()


def test_a_finished_training_has_nothing_left_to_do(trainer) -> None:
    assert trainer().returncode == 0
    before = checkpoints(trainer.folder)
    assert trainer().returncode == 0
    assert checkpoints(trainer.folder) == before
    assert "Train finished successfully." in (trainer.folder / "train" / "status.json").read_text().splitlines()[-1]


def test_evaluate_gives_what_its_epoch_reported(trainer) -> None:
    trainer(train__num_epochs=3)
    lines = [json.loads(line) for line in (trainer.folder / "train" / "status.json").read_text().splitlines()]
    said = {line["epoch"]: line["kpi"]["val_mAP50"] for line in lines if "epoch" in line}
    for epoch, path in enumerate(checkpoints(trainer.folder)):
        folder = trainer.folder / f"eval-{epoch}"
        done = trainer("evaluate", evaluate__checkpoint=str(path), evaluate__results_dir=str(folder))
        assert done.returncode == 0, done.stdout
        last = json.loads((folder / "status.json").read_text().splitlines()[-1])
        assert last["kpi"]["test_mAP50"] == said[epoch]
    assert shapes(folder / "status.json") == shapes(SAMPLES / "evaluate_dino.status.json")


def test_evaluate_with_another_architecture_fails_without_a_failure_line(trainer) -> None:
    trainer(train__num_epochs=1)
    path = checkpoints(trainer.folder)[0]
    done = trainer("evaluate", evaluate__checkpoint=str(path), dataset__num_classes=9)
    assert done.returncode == 1
    assert "size mismatch" in done.stdout
    assert "FAILURE" not in (trainer.folder / "evaluate" / "status.json").read_text()


def test_export_writes_its_file_once(trainer) -> None:
    trainer(train__num_epochs=1)
    file = trainer.folder / "model.onnx"
    words = {"export__checkpoint": str(checkpoints(trainer.folder)[0]), "export__onnx_file": str(file)}
    assert trainer("export", **words).returncode == 0
    before = file.read_bytes()
    again = trainer("export", **words)
    assert again.returncode == 1
    assert "already exists" in again.stdout
    assert file.read_bytes() == before


def test_inference_draws_and_lists_each_image(trainer) -> None:
    trainer(train__num_epochs=1)
    done = trainer("inference", inference__checkpoint=str(checkpoints(trainer.folder)[0]))
    assert done.returncode == 0, done.stdout
    images = {path.stem for path in (trainer.data / "val" / "images").iterdir()}
    assert {path.stem for path in (trainer.folder / "inference" / "images_annotated").iterdir()} == images
    assert {path.stem for path in (trainer.folder / "inference" / "labels").iterdir()} == images


def test_an_unknown_key_is_refused_before_anything_is_made(trainer) -> None:
    done = trainer(train__foo=1)
    assert done.returncode == 1
    assert "Key 'foo' not in" in done.stdout
    assert "full_key: train.foo" in done.stdout
    assert not (trainer.folder / "train").exists()


def test_the_command_line_is_checked_as_taos_is(trainer) -> None:
    assert "requires the following argument" in trainer.command("dino", "train").stderr
    assert "doesn't exist" in trainer.command("dino", "train", "-e", "/nowhere.yaml").stderr
    assert trainer.command("dino", "dance").returncode == 2


def test_too_little_data_for_a_batch_is_a_failure_line(trainer) -> None:
    assert trainer(dataset__batch_size=6).returncode == 1
    last = json.loads((trainer.folder / "train" / "status.json").read_text().splitlines()[-1])
    assert last["status"] == "FAILURE"
    assert "Dataset size (4) is smaller than the total batch size (6)" in last["message"]
    assert "validation" in last["message"]


def test_missing_data_is_a_failure_line(trainer) -> None:
    gone = {"image_dir": "/nowhere", "json_file": "/nowhere/annotations.json"}
    assert trainer(dataset__val_data_sources=[gone]).returncode == 1
    last = (trainer.folder / "train" / "status.json").read_text().splitlines()[-1]
    assert "File system error: [Errno 2] No such file or directory: '/nowhere'" in last


@pytest.mark.parametrize(
    ("fault", "code", "said"),
    [
        ("device_assert", 1, "device-side assert"),
        ("nan_assert", 1, "boxes1"),
        ("shm_bus", 1, "shared memory"),
        ("keyerror", 1, "KeyError"),
        ("hf_offline", 1, "huggingface.co"),
        ("spurious_failure_line", 0, "output layer_id 3 is nan"),
        ("half_line", 0, "PASS"),
        ("huge_line", 0, "skip layer: "),
        ("no_metric", 0, "PASS"),
    ],
)
def test_faults_end_as_asked(trainer, fault: str, code: int, said: str) -> None:
    done = trainer("train", {"STANDIN_FAULT": fault}, train__num_epochs=2)
    assert done.returncode == code, done.stdout
    assert said in done.stdout
    text = (trainer.folder / "train" / "status.json").read_text()
    assert ("val_mAP50" in text.replace("Validation mAP50", "")) is (fault not in ("no_metric", "hf_offline"))


def test_out_of_memory_follows_batch_size_and_queries(trainer) -> None:
    limit = {"STANDIN_OOM_LIMIT": "600"}
    assert trainer("train", limit, train__num_epochs=1).returncode == 0
    done = trainer("train", limit, train__num_epochs=2, model__num_queries=301)
    assert done.returncode == 1
    assert "CUDA out of memory" in done.stdout


def test_a_half_line_can_be_seen_and_is_completed(trainer) -> None:
    trainer("train", {"STANDIN_FAULT": "half_line@0"}, train__num_epochs=1)
    lines = (trainer.folder / "train" / "status.json").read_text().splitlines()
    assert all(json.loads(line)["status"] for line in lines)


def test_a_job_id_without_its_log_folder_kills_the_run(trainer) -> None:
    done = trainer("train", {"JOB_ID": "j", "TAO_MICROSERVICES_TTY_LOG": str(trainer.folder / "none")})
    assert done.returncode == 1
    assert not (trainer.folder / "train").exists()


def test_a_world_size_rewrites_the_spec(trainer) -> None:
    trainer("train", {"WORLD_SIZE": "2", "NUM_GPU_PER_NODE": "1"}, train__num_epochs=1)
    assert "num_nodes: 2" in (trainer.folder / "spec.yaml").read_text()


def test_a_launcher_that_is_terminated_leaves_a_trainer_that_dies_of_its_pipe(trainer) -> None:
    path = trainer.folder / "spec.yaml"
    path.write_text(json.dumps(trainer.spec({"train.num_epochs": 50})))
    launcher = subprocess.Popen(
        [sys.executable, "-m", "tao_automl.standin", "dino", "train", "-e", str(path)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "STANDIN_EPOCH_S": "0.2"},
    )
    status = trainer.folder / "train" / "status.json"
    end = time.monotonic() + 20
    while not (status.exists() and '"epoch": 0' in status.read_text()):
        assert time.monotonic() < end
        time.sleep(0.05)
    launcher.send_signal(signal.SIGTERM)
    assert launcher.wait(10) == -signal.SIGTERM
    while "Broken pipe" not in status.read_text():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_what_the_trainer_sees_is_written_down(trainer) -> None:
    trainer("train", {"NVIDIA_VISIBLE_DEVICES": "3", "MASTER_PORT": "1"}, train__num_epochs=1)
    seen = json.loads((trainer.folder / "train" / "standin_env.json").read_text())
    assert seen["NVIDIA_VISIBLE_DEVICES"] == "3"
    assert seen["leaked"] == ["MASTER_PORT"]
