"""A copy of a folder that follows it: what grows, what is removed, what failed on the way."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest

from tao_automl.errors import AutoMLError, PlatformError
from tao_automl.execution import store as stores
from tao_automl.execution import upload
from tao_automl.execution.store import Store
from tao_automl.execution.upload import Upload, matches
from tao_automl.tao import remote
from tests.s3 import Bucket, Busy


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "LONGEST_PAUSE_S", 0.01)
    monkeypatch.setattr(upload, "Store", lambda: Store(2))


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = tmp_path / "s"
    attempt = folder / "trials" / "0000" / "attempt-1"
    (attempt / "train").mkdir(parents=True)
    (attempt / "log.txt").write_text("epoch 0\n")
    (attempt / "train" / "model_epoch_000_step_00010.pth").write_bytes(b"weights" * 1000)
    (attempt / "train" / "latest.pth").symlink_to("model_epoch_000_step_00010.pth")
    (attempt / "spec.new").write_text("half")
    (folder / "lock").write_text("")
    (folder / "study.yaml").write_text("model: tiny\n")
    return folder


def everything(_path: PurePosixPath) -> bool:
    return False


def copy(s3: Bucket, study: Path, left_out: Callable[[PurePosixPath], bool] = everything) -> Upload:
    return Upload(study, remote.parse(s3.url("results/s")), left_out)


def there(s3: Bucket) -> dict[str, bytes]:
    root = s3.folder / "results" / "s"
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def puts(s3: Bucket) -> list[str]:
    return [line.split()[1].partition("/results/s/")[2] for line in s3.proxy.requests if line.startswith("PUT ")]


ATTEMPT = "trials/0000/attempt-1"


def test_files_are_sent_once_and_links_and_halves_are_not(s3: Bucket, study: Path) -> None:
    made = copy(s3, study)
    made.once()
    assert there(s3) == {
        "study.yaml": b"model: tiny\n",
        f"{ATTEMPT}/log.txt": b"epoch 0\n",
        f"{ATTEMPT}/train/model_epoch_000_step_00010.pth": b"weights" * 1000,
    }
    s3.proxy.requests.clear()
    made.once()
    assert puts(s3) == []


def test_what_grew_is_sent_again_and_what_was_removed_is_removed(s3: Bucket, study: Path) -> None:
    made = copy(s3, study)
    made.once()
    with (study / ATTEMPT / "log.txt").open("a") as log:
        log.write("epoch 1\n")
    (study / ATTEMPT / "train" / "model_epoch_000_step_00010.pth").unlink()
    s3.proxy.requests.clear()
    made.once()
    assert puts(s3) == [f"{ATTEMPT}/log.txt"]
    assert there(s3) == {"study.yaml": b"model: tiny\n", f"{ATTEMPT}/log.txt": b"epoch 0\nepoch 1\n"}


def test_a_folder_that_is_gone_here_stays_there(s3: Bucket, study: Path) -> None:
    made = copy(s3, study)
    made.once()
    before = there(s3)
    study.rename(study.with_name("moved"))
    made.once()
    assert there(s3) == before


def test_the_next_driver_sends_only_what_is_not_there(s3: Bucket, study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of what went up in parts, whose etag is no digest of the whole."""
    monkeypatch.setattr(upload, "UPLOAD_PART_BYTES", 5 * 2**20)
    monkeypatch.setattr(stores, "UPLOAD_PART_BYTES", 5 * 2**20)
    (study / "large.pth").write_bytes(os.urandom(11 * 2**20))
    (study / "empty").write_bytes(b"")
    copy(s3, study).once()
    (study / "study.yaml").write_text("model: tinY\n")
    (study / "fresh.txt").write_text("x")
    s3.proxy.requests.clear()
    copy(s3, study).once()
    assert sorted(puts(s3)) == ["fresh.txt", "study.yaml"]
    assert there(s3)["large.pth"] == (study / "large.pth").read_bytes()


def test_what_a_skill_leaves_out_is_not_sent(s3: Bucket, study: Path) -> None:
    copy(s3, study, lambda path: matches(["train/"], PurePosixPath(*path.parts[3:]))).once()
    assert sorted(there(s3)) == ["study.yaml", f"{ATTEMPT}/log.txt"]


@pytest.mark.parametrize(
    ("pattern", "path", "hit"),
    [
        ("inputs/", "inputs/a/b.jpg", True),
        ("inputs/*", "inputs/a/b.jpg", True),
        ("inputs", "inputs", True),
        ("inputs/", "train/inputs.txt", False),
        ("*.pth", "train/a.pth", True),
        ("train/events*", "train/events.out.1", True),
        ("train/events*", "events.out.1", False),
        ("INPUTS/", "inputs/a", False),
    ],
)
def test_a_pattern_holds_for_a_path_and_all_below_it(pattern: str, path: str, hit: bool) -> None:
    assert matches([pattern], PurePosixPath(path)) is hit


def test_while_a_study_goes_on_its_files_follow(s3: Bucket, study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "EVERY_S", 0.02)
    said: list[str] = []
    with copy(s3, study).going_on(said.append):
        assert f"{ATTEMPT}/log.txt" in there(s3)
        (study / "events.jsonl").write_text("{}\n")
        wait_for(lambda: there(s3).get("events.jsonl") == b"{}\n")
        s3.proxy.fault = lambda line: Busy() if line.startswith("PUT") else None
        (study / "more.txt").write_text("more")
        wait_for(lambda: bool(said))
        s3.proxy.fault = lambda _line: None
        (study / "last.txt").write_text("last")
    assert there(s3)["more.txt"] == b"more"
    assert there(s3)["last.txt"] == b"last"
    assert len(set(said)) == len(said)
    assert "too busy" in said[0]


def test_of_a_study_that_breaks_off_the_last_files_are_sent_and_its_own_error_is_said(s3: Bucket, study: Path) -> None:
    def break_off() -> None:
        with copy(s3, study).going_on(print):
            (study / "last.txt").write_text("last")
            raise PlatformError("the disk is full")

    with pytest.raises(PlatformError, match="the disk is full"):
        break_off()
    assert there(s3)["last.txt"] == b"last"


def test_a_store_that_takes_nothing_is_an_error_at_the_start(s3: Bucket, study: Path) -> None:
    made = Upload(study, remote.parse("s3://no-such-bucket-here/results"), everything)
    with pytest.raises(AutoMLError, match="no bucket 'no-such-bucket-here'"), made.going_on(print):
        pytest.fail("it began")


def test_what_cannot_be_sent_at_the_end_is_an_error_and_the_rest_is_there(s3: Bucket, study: Path) -> None:
    def go_on() -> None:
        with copy(s3, study).going_on(print):
            (study / "bad.txt").write_text("x")
            (study / "good.txt").write_text("y")
            s3.proxy.fault = lambda line: Busy() if "bad.txt" in line else None

    with pytest.raises(PlatformError, match=r"bad\.txt"):
        go_on()
    assert there(s3)["good.txt"] == b"y"


def wait_for(condition: Callable[[], bool]) -> None:
    until_s = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until_s, "it did not happen"
        time.sleep(0.01)
