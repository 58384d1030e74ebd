"""A study whose data and results lie in a real S3 server: brought once, trained on, gone on with, and sent there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tao_automl import events
from tao_automl.execution.runtimes.standin import sample_data
from tests.s3 import KEY, SECRET, Bucket

pytestmark = [pytest.mark.ray, pytest.mark.slow]

BUDGET = ("--trials", "2", "--epochs", "2", "--pruner", "none", "--parallel", "2")


@pytest.fixture
def words(s3: Bucket, tmp_path: Path) -> tuple[str, ...]:
    """The options of a study whose data is in a bucket."""
    sample_data(s3.folder / "data")
    where = ("--train-data", s3.url("data/train"), "--val-data", s3.url("data/val"), "--runtime", "standin")
    return ("run", "--model", "dino", *where, "--cache-dir", str(tmp_path / "cache"), *BUDGET)


def test_a_study_trains_on_data_of_a_store_and_the_next_one_brings_nothing(cli, s3: Bucket, words) -> None:
    driver = cli.start(*words, "--name", "first")
    _, said = driver.communicate(timeout=280)
    assert driver.returncode == 0, said
    images = len(list((s3.folder / "data").glob("*/images/*")))
    assert len(s3.proxy.got("/images/")) == images
    assert f"{s3.url('data/train/images')}: " in said
    best = cli.json("best", "first")
    assert Path(best["checkpoint"]).is_file()
    spec = Path(best["spec"]).read_text()
    assert "s3://" not in spec
    assert str(cli.folder / "cache") in spec
    s3.proxy.requests.clear()
    cli(*words, "--name", "second")
    assert s3.proxy.got("/images/") == []
    evaluated = cli.json("action", "evaluate", "second")
    assert evaluated["metrics"]
    for path in [path for path in cli.studies.rglob("*") if path.is_file()]:
        data = path.read_bytes()
        assert SECRET.encode() not in data, path
        assert KEY.encode() not in data, path


def test_a_study_whose_cache_was_cleared_goes_on_with_the_same_data(cli, s3: Bucket, words, tmp_path: Path) -> None:
    cli(*words, "--name", "s")
    pinned = json.loads((cli.studies / "s" / "pins.json").read_text())["pins"]
    for item in pinned:
        path = Path(item["path"])
        path.rename(path.with_name("gone"))
    cli("resume", "s", "--trials", "3")
    assert all(Path(item["path"]).exists() for item in pinned)
    states = [event["state"] for event in events.read(cli.studies / "s" / "events.jsonl") if "state" in event]
    assert states == ["COMPLETE"] * 3
    (s3.folder / "data" / "train" / "images" / "new.png").write_bytes(b"one more")
    for item in pinned:
        path = Path(item["path"])
        path.rename(path.with_name("gone again"))
    said = cli.start("resume", "s", "--trials", "4")
    _, err = said.communicate(timeout=120)
    assert said.returncode == 3
    assert f"error: {s3.url('data/train/images')} has changed since the study was started" in err


def test_results_go_to_the_store_also_of_a_failed_trial(cli, s3: Bucket) -> None:
    to = ("--upload", s3.url("results"), "--model", "dino", "--epochs", "2")
    cli("run", *to, "--name", "good", "--trials", "1")
    root = s3.folder / "results" / "good"
    attempt = root / "trials" / "0000" / "attempt-1"
    best = cli.json("best", "good")
    assert (attempt / "train" / Path(best["checkpoint"]).name).read_bytes() == Path(best["checkpoint"]).read_bytes()
    assert [event["event"] for event in events.read(root / "events.jsonl")][-1] == "study_finished"
    links = {path.name for path in (cli.studies / "good").rglob("*") if path.is_symlink()}
    assert links
    sent = {path.relative_to(root) for path in root.rglob("*") if path.is_file()}
    assert not [path for path in sent if path.name.endswith("latest.pth")]
    assert [path for path in sent if path.name in links] == [path for path in sent if path.name == attempt_file(best)]
    cli("action", "evaluate", "good")
    assert list(root.glob("actions/evaluate-001/evaluate/status.json"))
    failing = ("--trials", "1", "--max-failures", "1")
    cli("run", *to, "--name", "bad", *failing, code=1, STANDIN_FAULT="value@1")
    failed = s3.folder / "results" / "bad" / "trials" / "0000"
    logs = sorted(failed.glob("attempt-*/log.txt"))
    assert logs
    assert logs[0].read_bytes() == (cli.studies / "bad" / logs[0].relative_to(failed.parents[1])).read_bytes()


def attempt_file(best: dict) -> str:
    return Path(best["checkpoint"]).name
