"""Copying a stream into a file, from the beginning again and again."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tao_automl.execution import logs

CHUNKS = st.lists(st.binary(max_size=12) | st.sampled_from([b"\r", b"\n", b"50%\r60%\r"]), max_size=8)


@given(CHUNKS, st.lists(st.integers(0, 8), max_size=4), st.binary(max_size=5))
def test_nothing_is_lost_or_doubled_wherever_copiers_stop(chunks, stops, last) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.txt"
        for stop in stops:
            logs.copy(path, chunks[:stop])
        for _ in range(2):
            logs.copy(path, chunks, last)
        assert path.read_bytes() == b"".join(chunks).replace(b"\r", b"\n") + last


def test_a_file_that_was_cut_in_a_chunk_is_gone_on_with(tmp_path: Path) -> None:
    (tmp_path / "log.txt").write_bytes(b"one\ntw")
    logs.copy(tmp_path / "log.txt", [b"one\r", b"two\r", b"three"], b"\nstopped\n")
    assert (tmp_path / "log.txt").read_bytes() == b"one\ntwo\nthree\nstopped\n"


def test_what_comes_is_there_at_once_and_a_second_copier_keeps_out(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"

    def chunks():
        yield b"first"
        assert path.read_bytes() == b"first"
        with pytest.raises(BlockingIOError):
            logs.copy(path, [b"first", b"again"])
        yield b"second"

    logs.copy(path, chunks())
    assert path.read_bytes() == b"firstsecond"


def test_a_full_disk_is_an_error_of_the_file() -> None:
    with pytest.raises(OSError, match="No space left"):
        logs.copy(Path("/dev/full"), [b"words"])
