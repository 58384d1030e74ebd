"""What a node keeps of a store: whole or not at all, brought once, and never another content than was seen."""

from __future__ import annotations

import dataclasses
import io
import json
import multiprocessing
import os
import signal
import tarfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tao_automl.errors import AutoMLError, PlatformError, UsageError
from tao_automl.execution import cache, fetch
from tao_automl.execution import store as stores
from tao_automl.execution.cache import Found, Stager
from tao_automl.execution.job import JobSpec, Staged
from tao_automl.execution.store import ChangedError, Object, Store
from tao_automl.tao import remote
from tests.s3 import Bucket, Busy, Cut, Damage, Hold, once

PART = 64 * 1024
LARGE = os.urandom(PART * 5 + 100)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts are small, so that a few hundred KiB are a large object."""
    monkeypatch.setattr(fetch, "PART_BYTES", PART)
    monkeypatch.setattr(stores, "LONGEST_PAUSE_S", 0.01)


@pytest.fixture
def pin(tmp_path: Path) -> Callable[[str], Staged]:
    """What is at an address now, with its place in a cache below the test's folder."""

    def pinned(url: str) -> Staged:
        found = cache.look(Store(), url)
        return cache.placed(url, found.kind, found.digest(), found.size_bytes, tmp_path / "cache")

    return pinned


def brought(wanted: Staged) -> list[str]:
    """Bring it; what was said."""
    said: list[str] = []
    cache.stage(wanted, said.append)
    return said


def tar(*members: tuple[str, bytes], mode: str = "w:gz") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# What comes


def test_a_file_comes_under_its_own_name(s3: Bucket, pin) -> None:
    wanted = pin(s3.put("ptm/resnet.pth", b"weights"))
    brought(wanted)
    assert Path(wanted.path).name == "resnet.pth"
    assert Path(wanted.path).read_bytes() == b"weights"
    assert cache.missing((wanted,)) == ()


@pytest.mark.parametrize("end", ["", "/"])
def test_a_folder_comes_with_everything_below_it_and_nothing_beside_it(s3: Bucket, pin, end: str) -> None:
    content = {"a.jpg": b"a", "b c/d.jpg": LARGE, "empty": b""}
    for name, data in content.items():
        s3.put(f"train/images/{name}", data)
    s3.put("train/images2/no.jpg")
    wanted = pin(s3.url(f"train/images{end}"))
    said = brought(wanted)
    assert (wanted.kind, wanted.size_bytes) == ("folder", len(LARGE) + 1)
    assert files(Path(wanted.path)) == content
    assert said[-1].endswith("320.1 KiB of 320.1 KiB")


def test_a_large_object_comes_in_parts(s3: Bucket, pin) -> None:
    wanted = pin(s3.put("large.bin", LARGE))
    brought(wanted)
    assert Path(wanted.path).read_bytes() == LARGE
    assert len(s3.proxy.got("large.bin")) == 6


@pytest.mark.parametrize("name", ["images.tar.gz", "images.tar"])
def test_an_archive_becomes_a_folder_and_does_not_stay(s3: Bucket, pin, name: str) -> None:
    mode = "w:gz" if name.endswith("gz") else "w"
    wanted = pin(s3.put(name, tar(("images/1.jpg", b"1"), ("images/b/2.jpg", b"2"), mode=mode)))
    brought(wanted)
    assert files(Path(wanted.path)) == {"1.jpg": b"1", "b/2.jpg": b"2"}
    assert sorted(path.name for path in Path(wanted.path).parents[1].iterdir()) == ["data", "lock"]


# Once


def test_what_is_there_is_not_asked_for_again(s3: Bucket, pin) -> None:
    wanted = pin(s3.put("train/a.jpg"))
    brought(wanted)
    before = len(s3.proxy.requests)
    assert brought(wanted) == []
    assert len(s3.proxy.requests) == before


def test_the_same_name_with_another_content_is_another_place(s3: Bucket, pin) -> None:
    first = pin(s3.put("a.json", b"one"))
    brought(first)
    second = pin(s3.put("a.json", b"two"))
    brought(second)
    assert Path(first.path).read_bytes() == b"one"
    assert Path(second.path).read_bytes() == b"two"


def test_jobs_that_start_at_once_bring_it_once(s3: Bucket, pin) -> None:
    """Each job of a node has a watcher in a process of its own."""
    wanted = pin(s3.put("large.bin", LARGE))
    fork = multiprocessing.get_context("fork")
    jobs = [fork.Process(target=cache.stage, args=(wanted, print)) for _ in range(4)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join(60)
    assert [job.exitcode for job in jobs] == [0] * 4
    assert len(s3.proxy.got("large.bin")) == 6
    assert Path(wanted.path).read_bytes() == LARGE


def test_who_waits_for_another_job_says_so(s3: Bucket, pin) -> None:
    wanted, go = pin(s3.put("a.bin", b"x" * 1000)), threading.Event()
    s3.proxy.fault = once(Hold(100, go), "a.bin")
    first = threading.Thread(target=brought, args=(wanted,))
    first.start()
    wait_for(lambda: bool(s3.proxy.got("a.bin")))
    second: list[str] = []

    def say(text: str) -> None:
        second.append(text)
        go.set()

    cache.stage(wanted, say)
    first.join(60)
    assert second[0] == f"waits for another job that brings {wanted.url}"
    assert len(s3.proxy.got("a.bin")) == 1


# What goes wrong on the way


def test_a_killed_job_is_gone_on_with(s3: Bucket, pin) -> None:
    content = {f"{number:02}.jpg": os.urandom(100) for number in range(20)}
    for name, data in content.items():
        s3.put(f"images/{name}", data)
    s3.put("images/large.bin", LARGE)
    wanted, never = pin(s3.url("images")), threading.Event()
    s3.proxy.fault = lambda line: (
        Hold(100, never) if "large.bin" in line and len(s3.proxy.got("large.bin")) > 3 else None
    )
    job = multiprocessing.get_context("fork").Process(target=cache.stage, args=(wanted, print))
    job.start()
    fresh = Path(wanted.path).parent / "fresh" / "images"
    wait_for(lambda: len(list(fresh.glob("*.jpg"))) == 20 and parts(fresh / "large.bin.journal") == 3)
    assert job.pid is not None
    os.kill(job.pid, signal.SIGKILL)
    job.join(60)
    never.set()
    assert not Path(wanted.path).exists()
    s3.proxy.fault = lambda _line: None
    s3.proxy.requests.clear()
    brought(wanted)
    assert files(Path(wanted.path)) == {**content, "large.bin": LARGE}
    assert len(s3.proxy.got("large.bin")) == 3
    assert s3.proxy.got(".jpg") == []


def test_what_came_before_the_machine_started_again_is_not_trusted(s3: Bucket, pin) -> None:
    wanted = pin(s3.put("images/a.jpg", b"right"))
    fresh = Path(wanted.path).parent / "fresh"
    (fresh / "images").mkdir(parents=True)
    (fresh / "images" / "a.jpg").write_bytes(b"\0\0\0\0\0")
    (fresh / ".boot").write_text("another boot")
    brought(pin(s3.url("images")))
    assert files(Path(pin(s3.url("images")).path)) == {"a.jpg": b"right"}


@pytest.mark.parametrize("fault", [Busy(), Cut(30000), Damage()])
def test_faults_of_the_network_do_not_get_into_the_cache(s3: Bucket, pin, fault) -> None:
    small, large = os.urandom(50000), pin(s3.put("images/large.bin", LARGE))
    s3.put("images/small.bin", small)
    wanted = pin(s3.url("images"))
    s3.proxy.fault = once(fault, "images/", times=3)
    brought(wanted)
    assert files(Path(wanted.path)) == {"large.bin": LARGE, "small.bin": small}
    assert large.size_bytes == len(LARGE)


def test_an_object_that_always_comes_damaged_is_named_and_not_kept(s3: Bucket, pin) -> None:
    wanted = pin(s3.put("a.bin", LARGE[:100]))
    s3.proxy.fault = lambda line: Damage() if line.startswith("GET") and "a.bin" in line else None
    with pytest.raises(PlatformError, match=r"a\.bin arrived damaged 3 times"):
        brought(wanted)
    assert not Path(wanted.path).exists()


def test_data_that_changed_since_the_study_was_started_is_refused(s3: Bucket, pin) -> None:
    s3.put("images/a.jpg", b"one")
    wanted = pin(s3.url("images"))
    s3.put("images/b.jpg", b"two")
    with pytest.raises(ChangedError, match="images has changed since the study was started"):
        brought(wanted)
    assert not Path(wanted.path).exists()


def test_an_object_that_changes_while_it_comes_is_refused(s3: Bucket, pin) -> None:
    wanted = pin(s3.put("large.bin", LARGE))

    def change(line: str) -> None:
        if len(s3.proxy.got("large.bin")) == 2:
            s3.put("large.bin", LARGE[::-1])

    s3.proxy.fault = change
    with pytest.raises(ChangedError, match=r"large\.bin has changed"):
        brought(wanted)
    assert not Path(wanted.path).exists()


def test_a_folder_that_cannot_be_written_is_named(s3: Bucket, pin, tmp_path: Path) -> None:
    wanted = pin(s3.put("a.bin"))
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(PlatformError, match=r"a\.bin cannot be written to") as raised:
        brought(wanted)
    assert "--cache-dir" in raised.value.tip


def test_what_does_not_fit_on_the_disk_is_not_begun(s3: Bucket, pin) -> None:
    wanted = pin(s3.put("a.bin"))
    s3.proxy.requests.clear()
    with pytest.raises(PlatformError, match=r"a\.bin needs 1048576\.0 GiB") as raised:
        brought(dataclasses.replace(wanted, size_bytes=2**50))
    assert raised.value.code == "disk-full"
    assert s3.proxy.got("a.bin") == []


# Hostile content


def test_a_bomb_is_refused_before_it_is_written(s3: Bucket, pin) -> None:
    info = tarfile.TarInfo("images/bomb.bin")
    info.size = 10 * 2**40
    wanted = pin(s3.put("images.tar", info.tobuf() + b"\0" * 1024))
    with pytest.raises(UsageError, match=r"^s3://\S+/images\.tar unpacks to more than \d\.\d GiB$"):
        brought(wanted)
    assert not Path(wanted.path).exists()
    assert sum(len(data) for data in files(Path(wanted.path).parents[1]).values()) < 1000


@pytest.mark.parametrize("name", ["../out.jpg", "/out.jpg", "images/../../out.jpg"])
def test_a_member_that_would_leave_the_folder_is_named_with_its_archive(s3: Bucket, pin, name: str) -> None:
    wanted = pin(s3.put("images.tar.gz", tar((name, b"x"))))
    with pytest.raises(UsageError) as raised:
        brought(wanted)
    assert raised.value.message.startswith(f"{wanted.url} holds '{name}'")


def test_what_is_no_archive_is_named(s3: Bucket, pin) -> None:
    wanted = pin(s3.put("images.tar.gz", b"no archive"))
    with pytest.raises(UsageError, match=r"^s3://\S+ cannot be unpacked"):
        brought(wanted)


@pytest.mark.parametrize("key", ["t/../../etc/x", "t//x", "t/./x", "t/a/../b"])
def test_a_key_that_is_no_plain_path_is_refused(tmp_path: Path, key: str) -> None:
    found = Found(remote.parse("s3://bucket/t"), "folder", (Object(key, 1, "e"),))
    with pytest.raises(UsageError, match="which is no plain path"):
        found.wanted(tmp_path)


# What is at an address


def test_nothing_at_an_address_is_named(s3: Bucket) -> None:
    s3.put("train2/a.jpg")
    with pytest.raises(UsageError, match=r"there is no s3://\S+/train$") as raised:
        cache.look(Store(), s3.url("train"))
    assert raised.value.code == "s3-absent"


def test_what_lies_below_a_listed_folder_needs_no_other_look(s3: Bucket) -> None:
    for name in ("images/1.jpg", "images/2.jpg", "annotations.json", "more.tar.gz"):
        s3.put(f"train/{name}")
    store = Store()
    listed = cache.look(store, s3.url("train"))
    before = len(s3.proxy.requests)
    for name in ("images", "annotations.json", "more.tar.gz"):
        within = cache.within(listed, s3.url(f"train/{name}"))
        assert within is not None
        assert len(s3.proxy.requests) == before
        assert within.digest() == cache.look(store, s3.url(f"train/{name}")).digest()
        before = len(s3.proxy.requests)
    assert cache.within(listed, s3.url("train/image")) is None


# While a watcher answers


def job(tmp_path: Path, *staged: Staged) -> JobSpec:
    return JobSpec("s-0000-1", "train", "", ("true",), tmp_path, "process", staged=staged)


def test_a_job_waits_until_everything_is_there(s3: Bucket, pin, tmp_path: Path) -> None:
    wanted, go = pin(s3.put("a.bin", b"x" * 1000)), threading.Event()
    s3.proxy.fault = once(Hold(100, go), "a.bin")
    stager, spec = Stager(), job(tmp_path, wanted)
    assert stager.waits(spec) is not None
    assert wanted.url in (stager.waits(spec) or "")
    go.set()
    wait_for(lambda: stager.waits(spec) is None)
    assert Path(wanted.path).exists()


def test_what_cannot_be_had_is_an_error_and_is_tried_again_when_asked(s3: Bucket, pin, tmp_path: Path) -> None:
    wanted = pin(s3.put("a.bin"))
    file = s3.folder / "a.bin"
    file.rename(s3.folder / "b.bin")
    stager, spec = Stager(), job(tmp_path, wanted)
    with pytest.raises(AutoMLError, match=r"there is no s3://\S+/a\.bin"):
        wait_for(lambda: stager.waits(spec) is None)
    (s3.folder / "b.bin").rename(file)
    wait_for(lambda: stager.waits(spec) is None)


def parts(journal: Path) -> int:
    return len(journal.read_text().splitlines()) - 2 if journal.exists() else 0


def wait_for(condition: Callable[[], bool]) -> None:
    until_s = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until_s, "it did not happen"
        time.sleep(0.01)


def test_the_form_of_a_pin_is_plain_data(s3: Bucket, pin) -> None:
    wanted = pin(s3.put("a.bin"))
    assert Staged(**json.loads(json.dumps(dataclasses.asdict(wanted)))) == wanted
