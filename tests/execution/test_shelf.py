"""What a cache holds, and what goes when room is made."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from tao_automl.execution import cache, shelf
from tao_automl.execution.job import Staged
from tao_automl.execution.store import Store
from tests.s3 import Bucket

HOUR_S, DAY_S = 3600.0, 86400.0
NOW_S = 2_000_000_000.0


@pytest.fixture
def held(s3: Bucket, tmp_path: Path) -> list[Staged]:
    """Three files of 100 KB in the cache, unused for three, two and one days."""
    found = []
    for days in (3, 2, 1):
        url = s3.put(f"{days}.bin", bytes([days]) * 100_000)
        seen = cache.look(Store(), url)
        staged = cache.placed(url, seen.kind, seen.digest(), seen.size_bytes, tmp_path)
        cache.stage(staged, lambda _: None)
        os.utime(shelf.folder_of(staged) / shelf.LOCK, (0, NOW_S - days * DAY_S))
        found.append(staged)
    return found


def urls(contents: tuple[shelf.Content, ...]) -> list[str | None]:
    return [item.url for item in contents]


def test_contents_have_their_address_and_the_longest_unused_comes_first(held, tmp_path: Path) -> None:
    found = shelf.contents(tmp_path)
    assert urls(found) == [item.url for item in held]
    assert all(100_000 <= item.size_bytes < 150_000 for item in found)
    assert shelf.contents(tmp_path / "none") == ()


def test_the_longest_unused_goes_until_it_fits(held, tmp_path: Path) -> None:
    assert urls(shelf.trim(tmp_path, 250_000, NOW_S)) == [held[0].url]
    assert [Path(item.path).exists() for item in held] == [False, True, True]
    assert shelf.trim(tmp_path, 250_000, NOW_S) == ()
    assert len(shelf.trim(tmp_path, 0, NOW_S)) == 2
    assert shelf.contents(tmp_path) == ()


def test_what_went_comes_again(held, tmp_path: Path) -> None:
    shelf.trim(tmp_path, 0, NOW_S)
    cache.stage(held[0], lambda _: None)
    assert Path(held[0].path).read_bytes() == bytes([3]) * 100_000
    assert urls(shelf.contents(tmp_path)) == [held[0].url]


def test_what_is_in_use_stays(held, tmp_path: Path) -> None:
    shelf.touch([held[0]])
    used_s = (shelf.folder_of(held[0]) / shelf.LOCK).stat().st_mtime
    assert urls(shelf.trim(tmp_path, 0, used_s + HOUR_S - 1)) == []
    cache.stage(held[1], lambda _: None)
    assert shelf.contents(tmp_path)[-1].used_s >= used_s


def test_what_is_brought_at_this_moment_stays(held, tmp_path: Path) -> None:
    with (shelf.folder_of(held[0]) / shelf.LOCK).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert urls(shelf.trim(tmp_path, 0, NOW_S)) == [held[1].url, held[2].url]
    assert Path(held[0].path).exists()
