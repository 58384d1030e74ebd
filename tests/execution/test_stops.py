"""The intent to stop a job."""

from __future__ import annotations

from pathlib import Path

from tao_automl.execution import stops
from tao_automl.execution.stops import Intent


def test_the_earliest_time_and_the_line_hold(tmp_path: Path) -> None:
    assert stops.read(tmp_path) is None
    assert stops.intend(tmp_path, 50.0) == Intent(50.0)
    assert stops.intend(tmp_path, 70.0, "time is up\n") == Intent(50.0, line="time is up\n")
    assert stops.intend(tmp_path, 20.0) == Intent(20.0, line="time is up\n")
    assert stops.read(tmp_path) == Intent(20.0, line="time is up\n")


def test_one_that_cannot_be_written_is_still_meant(tmp_path: Path) -> None:
    assert stops.intend(tmp_path / "none", 5.0) == Intent(5.0)
    assert not (tmp_path / "none").exists()


def test_a_damaged_file_is_none(tmp_path: Path) -> None:
    (tmp_path / stops.FILE).write_text('{"kill')
    assert stops.read(tmp_path) is None
