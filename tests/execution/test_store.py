"""An S3 store as it is: a real server, and a network that fails."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import pytest

from tao_automl.errors import AutoMLError, PlatformError, UsageError
from tao_automl.execution import store as stores
from tao_automl.execution.store import QUICK, ChangedError, Store
from tao_automl.tao import remote
from tests.s3 import KEY, SECRET, Bucket, Busy, Cut, once, serving

CONTENT = bytes(range(256)) * 1000


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "LONGEST_PAUSE_S", 0.01)


def read(store: Store, bucket: Bucket, key: str, start: int = 0, end: int | None = None) -> bytes:
    item = store.head(remote.parse(bucket.url(key)))
    assert item is not None
    return b"".join(store.read(bucket.folder.name, item, start, item.size_bytes if end is None else end))


def refused(url: str) -> AutoMLError:
    with pytest.raises(AutoMLError) as raised:
        list(Store(QUICK).list(remote.parse(url)))
    said = raised.value.message + raised.value.tip
    assert "\n" not in said
    assert SECRET not in said
    assert KEY not in said
    return raised.value


def test_objects_are_seen_listed_and_read(s3: Bucket) -> None:
    store = Store()
    s3.put("train/a.bin", CONTENT)
    s3.put("train/b c/ü.txt", b"text")
    s3.put("training/no.txt")
    assert [(item.key, item.size_bytes) for item in store.list(remote.parse(s3.url("train")))] == [
        ("train/a.bin", 256000),
        ("train/b c/ü.txt", 4),
    ]
    assert store.head(remote.parse(s3.url("train/none"))) is None
    assert read(store, s3, "train/a.bin") == CONTENT
    assert read(store, s3, "train/a.bin", 1000, 1003) == CONTENT[1000:1003]
    assert read(store, s3, "train/b c/ü.txt") == b"text"


def test_a_file_is_uploaded_and_deleted(s3: Bucket, tmp_path: Path) -> None:
    file, address = tmp_path / "f.bin", remote.parse(s3.url("results/f.bin"))
    file.write_bytes(CONTENT)
    Store().put(file, address)
    assert (s3.folder / "results" / "f.bin").read_bytes() == CONTENT
    Store().delete(address)
    assert Store().head(address) is None


def test_a_connection_that_is_cut_goes_on_where_it_was(s3: Bucket) -> None:
    s3.put("a.bin", CONTENT)
    s3.proxy.fault = once(Cut(60000), "a.bin", times=4)
    assert read(Store(), s3, "a.bin") == CONTENT
    assert len(s3.proxy.got("a.bin")) == 5


def test_a_connection_that_always_ends_before_the_first_byte_is_given_up(s3: Bucket) -> None:
    s3.put("a.bin", CONTENT)
    s3.proxy.fault = once(Cut(0), "a.bin", times=1000)
    with pytest.raises(PlatformError, match=r"a\.bin"):
        read(Store(2), s3, "a.bin")


def test_a_busy_store_is_asked_again_after_a_pause(s3: Bucket) -> None:
    s3.put("a.bin", CONTENT)
    s3.proxy.fault = once(Busy(), "a.bin", times=2)
    assert read(Store(), s3, "a.bin") == CONTENT
    assert len(s3.proxy.got("a.bin")) == 3


def test_a_store_that_stays_busy_is_named(s3: Bucket) -> None:
    s3.put("a.bin")
    s3.proxy.fault = lambda _line: Busy()
    assert "too busy" in refused(s3.url("")).message


def test_an_object_that_changed_is_not_read(s3: Bucket) -> None:
    store, address = Store(), remote.parse(s3.put("a.bin", CONTENT))
    seen = store.head(address)
    assert seen is not None
    s3.put("a.bin", CONTENT[::-1])
    with pytest.raises(ChangedError, match=r"a\.bin has changed"):
        list(store.read(s3.folder.name, seen, 0, 10))
    now = store.head(address)
    assert now is not None
    with pytest.raises(ChangedError):
        list(store.read(s3.folder.name, dataclasses.replace(now, size_bytes=300000), 0, 10))


def test_pauses_grow_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "LONGEST_PAUSE_S", 20.0)
    assert 0.2 <= stores.pause_s(1) <= 0.4
    assert 3.2 <= stores.pause_s(5) <= 6.4
    assert 10.0 <= stores.pause_s(50) <= 20.0


# What is asked wrongly: one sentence that names the thing


def test_a_bucket_that_is_not_there_is_named(s3: Bucket) -> None:
    error = refused("s3://no-such-bucket-here/train")
    assert isinstance(error, UsageError)
    assert "no bucket 'no-such-bucket-here'" in error.message


def test_without_credentials_it_is_said(s3: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    error = refused(s3.url("train"))
    assert isinstance(error, PlatformError)
    assert "no usable AWS credentials" in error.message
    assert "AWS_ACCESS_KEY_ID" in error.tip


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_wrong_credentials_are_refused(s3: Bucket, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "wrong-and-not-to-be-said")
    error = refused(s3.url("train"))
    assert "credentials" in error.message
    assert "wrong-and" not in error.message + error.tip


@pytest.mark.parametrize(
    ("endpoint", "says"),
    [
        ("http://127.0.0.1:1", "endpoint http://127.0.0.1:1 does not answer"),
        ("http://user:hidden@127.0.0.1:1", "endpoint http://127.0.0.1:1 does not answer"),
        ("nonsense", "endpoint nonsense is no address"),
    ],
)
def test_a_wrong_endpoint_is_named(s3: Bucket, monkeypatch: pytest.MonkeyPatch, endpoint: str, says: str) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    error = refused(s3.url("train"))
    assert says in error.message
    assert "hidden" not in error.message
    assert "AWS_ENDPOINT_URL" in error.tip


def test_a_profile_that_is_not_there_is_no_traceback(s3: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "none")
    assert "credentials" in refused(s3.url("train")).message


def test_a_connection_that_is_never_answered_is_given_up(s3: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "READ_TIMEOUT_S", 0.2)
    s3.proxy.fault = lambda _line: Cut(0)
    began_s = time.monotonic()
    assert "does not answer" in refused(s3.url("train")).message
    assert time.monotonic() - began_s < 60


def test_a_public_bucket_needs_no_credentials(tmp_path: Path, s3: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with serving(tmp_path / "public", public=True) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.port}")
        (server.folder / "open" / "train").mkdir(parents=True)
        (server.folder / "open" / "train" / "a.bin").write_bytes(CONTENT)
        store, address = Store(QUICK), remote.parse("s3://open/train")
        (item,) = store.list(address)
        assert b"".join(store.read("open", item, 0, item.size_bytes)) == CONTENT
