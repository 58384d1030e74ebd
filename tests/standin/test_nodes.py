"""A training on several nodes: the first one writes, the others only take part."""

from __future__ import annotations

import json

import pytest
import yaml

from tests.standin.lines import checkpoints

TWO = {"WORLD_SIZE": "2", "MASTER_ADDR": "node-a", "MASTER_PORT": "29500"}


def test_the_first_node_writes_as_usual_and_the_spec_says_what_the_variables_say(trainer) -> None:
    env = {**TWO, "NODE_RANK": "0", "NVIDIA_VISIBLE_DEVICES": "3,5"}
    assert trainer("train", env, train__num_epochs=1, dataset__batch_size=1).returncode == 0
    train = yaml.safe_load((trainer.folder / "spec.yaml").read_text())["train"]
    assert (train["num_nodes"], train["num_gpus"], train["gpu_ids"]) == (2, 2, [0, 1])
    assert len(checkpoints(trainer.folder)) == 1
    seen = json.loads((trainer.folder / "train" / "standin_env.json").read_text())
    assert {name: seen[name] for name in TWO} == TWO
    assert {*TWO, "NODE_RANK"} == {*seen["leaked"]} <= {*seen["variables"]}
    assert list(seen["data_writable"].values()) == [True] * 4
    assert seen["started_s"] < seen["ended_s"]


def test_the_others_train_as_well_and_leave_a_side_file_only(trainer) -> None:
    env = {**TWO, "NODE_RANK": "1", "NUM_GPU_PER_NODE": "1"}
    overrides = {"train__num_nodes": 2, "train__num_gpus": 1, "train__gpu_ids": [0]}
    done = trainer("train", env, train__num_epochs=2, **overrides)
    assert done.returncode == 0
    assert "Epoch 1: 4/4" in done.stdout
    assert [path.name for path in (trainer.folder / "train").iterdir()] == ["standin_env_1.json"]


@pytest.mark.parametrize("rank", ["0", "1"])
def test_a_spec_that_says_it_already_is_left_as_it_is(trainer, rank: str) -> None:
    path = trainer.folder / "spec.yaml"
    text = json.dumps({**trainer.spec({}), "train": {"num_nodes": 2, "num_gpus": 1, "gpu_ids": [0], "unknown": 1}})
    path.write_text(text)
    env = {**TWO, "NODE_RANK": rank, "NUM_GPU_PER_NODE": "1"}
    assert "Key 'unknown' not in" in trainer.command("dino", "train", "-e", str(path), env=env).stdout
    assert path.read_text() == text
