"""A study whose data and results lie in a real S3 server: brought once, trained on, gone on with, and sent there."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tao_automl import events
from tao_automl.standin import shapes
from tests.s3 import KEY, SECRET, Bucket, Proxy, Server, environment

pytestmark = [pytest.mark.ray, pytest.mark.slow]

BUDGET = ("--epochs", "2", "--pruner", "none", "--parallel", "2")


@dataclass(frozen=True)
class Lake:
    """A bucket with data, and the command of a study that trains on it and sends its results back."""

    bucket: Bucket
    words: tuple[str, ...]
    said: str

    @property
    def results(self) -> Path:
        return self.bucket.folder / "results"


@pytest.fixture(scope="module")
def lake(module_cli, s3_server: Server) -> Iterator[Lake]:
    """Study `first`, run once for this module."""
    bucket = Bucket(s3_server.folder / f"b{uuid.uuid4().hex[:12]}", Proxy(s3_server.port))
    shapes.write(bucket.folder / "data", train=32, val=8)
    where = ("--train-data", bucket.url("data/train"), "--val-data", bucket.url("data/val"), "--runtime", "standin")
    kept = ("--cache-dir", str(module_cli.folder / "cache"), "--upload", bucket.url("results"))
    words = ("run", "--model", "dino", *where, *kept, *BUDGET)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(bucket.proxy.port).items():
            patch.setenv(name, value)
        driver = module_cli.start(*words, "--name", "first", "--trials", "2")
        _, said = driver.communicate(timeout=280)
        assert driver.returncode == 0, said
        yield Lake(bucket, words, said)
    bucket.proxy.close()


def test_each_image_came_once_for_all_trials(lake: Lake) -> None:
    images = len(list((lake.bucket.folder / "data").glob("*/images/*")))
    assert len(lake.bucket.proxy.got("/images/")) == images
    assert f"{lake.bucket.url('data/train/images')}: " in lake.said


def test_specs_name_places_of_the_cache_and_nothing_holds_a_secret(module_cli, lake: Lake) -> None:
    best = module_cli.json("best", "first")
    assert Path(best["checkpoint"]).is_file()
    spec = Path(best["spec"]).read_text()
    assert "s3://" not in spec
    assert str(module_cli.folder / "cache") in spec
    assert SECRET not in lake.said
    for path in [path for path in module_cli.folder.rglob("*") if path.is_file()]:
        data = path.read_bytes()
        assert SECRET.encode() not in data, path
        assert KEY.encode() not in data, path


def test_results_are_in_the_store_and_no_checkpoint_twice(module_cli, lake: Lake) -> None:
    root, best = lake.results / "first", module_cli.json("best", "first")
    sent = [path for path in root.rglob("*") if path.is_file()]
    links = {path.name for path in (module_cli.studies / "first").rglob("*") if path.is_symlink()}
    assert any(name.endswith("latest.pth") for name in links)
    assert not [path for path in sent if path.name.endswith("latest.pth")]
    checkpoints = [path for path in sent if path.name == Path(best["checkpoint"]).name]
    assert Path(best["checkpoint"]).read_bytes() in [path.read_bytes() for path in checkpoints]
    assert not [path for path in checkpoints if "best" in path.parts]
    assert [event["event"] for event in events.read(root / "events.jsonl")][-1] == "study_finished"


def test_an_action_reads_the_same_data_and_sends_its_results_too(module_cli, lake: Lake) -> None:
    lake.bucket.proxy.requests.clear()
    assert module_cli.json("action", "evaluate", "first")["metrics"]
    assert lake.bucket.proxy.got("/data/") == []
    assert (lake.results / "first" / "actions" / "evaluate-001" / "evaluate" / "status.json").is_file()


def test_the_next_study_brings_nothing_and_a_failed_trials_log_is_sent(module_cli, lake: Lake) -> None:
    lake.bucket.proxy.requests.clear()
    fails = {"STANDIN_FAULT": "value@1"}
    module_cli(*lake.words, "--name", "bad", "--trials", "1", "--max-failures", "1", code=1, **fails)
    assert lake.bucket.proxy.got("/images/") == []
    logs = sorted(lake.results.glob("bad/trials/0000/attempt-*/log.txt"))
    assert logs
    for log in logs:
        assert log.read_bytes() == (module_cli.studies / log.relative_to(lake.results)).read_bytes()


def test_a_study_whose_cache_was_cleared_goes_on_with_the_same_data(module_cli, lake: Lake) -> None:
    pinned = json.loads((module_cli.studies / "first" / "pins.json").read_text())["pins"]
    assert len(pinned) == 4
    for item in pinned:
        path = Path(item["path"])
        path.rename(path.with_name("gone"))
    module_cli("resume", "first", "--trials", "3")
    assert all(Path(item["path"]).exists() for item in pinned)
    states = [event["state"] for event in events.read(lake.results / "first" / "events.jsonl") if "state" in event]
    assert states == ["COMPLETE"] * 3
