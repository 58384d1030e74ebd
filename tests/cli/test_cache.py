"""`tao-automl cache`: what is there, and room."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A cache of two contents, unused for long."""
    for name, age_s in (("aa", 1000), ("bb", 2000)):
        place = tmp_path / "cache" / "s3" / name
        place.mkdir(parents=True)
        (place / "a.bin").write_bytes(b"x" * 5000)
        (place / "lock").write_text(f"s3://bucket/{name}/a.bin")
        os.utime(place / "lock", (age_s, age_s))
    return tmp_path / "cache"


def test_it_lists_what_is_kept(call, folder: Path) -> None:
    said = call("cache", "--cache-dir", str(folder))
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines()[0] == "cache: 2 contents, 16.0 KiB"
    assert [line.split()[0] for line in said.out.splitlines()[3:]] == ["s3://bucket/aa/a.bin", "s3://bucket/bb/a.bin"]


def test_it_makes_room(call, folder: Path) -> None:
    said = call("cache", "--cache-dir", str(folder), "--keep", "10 KiB", "--json")
    document = said.document
    assert [item["url"] for item in document["removed"]] == ["s3://bucket/aa/a.bin"]
    assert [item["url"] for item in document["contents"]] == ["s3://bucket/bb/a.bin"]
    assert not (folder / "s3" / "aa" / "a.bin").exists()
    assert call("cache", "--cache-dir", str(folder), "--keep", "0").out.startswith("1 content removed")


def test_an_empty_cache_is_no_error_and_a_size_must_be_one(call, tmp_path: Path) -> None:
    said = call("cache", "--cache-dir", str(tmp_path / "none"))
    assert (said.code, said.out) == (0, "none: 0 contents, 0 B\n")
    wrong = call("cache", "--keep", "much")
    assert wrong.code == 2
    assert "--keep much: is not a size" in wrong.err
