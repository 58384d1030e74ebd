"""Reading a log while it grows."""

from __future__ import annotations

from pathlib import Path

from tao_automl.cli import _log


def test_missing_log_has_no_lines(tmp_path: Path) -> None:
    assert _log.LogReader(tmp_path / "log.txt").read() == []


def test_each_step_of_a_progress_bar_is_a_line(tmp_path: Path) -> None:
    (log := tmp_path / "log.txt").write_bytes(b"start\nepoch 0:  50%|#####\repoch 0: 100%|##########\r\ndone\n")
    assert _log.LogReader(log).read() == ["start", "epoch 0:  50%|#####", "epoch 0: 100%|##########", "done"]


def test_half_line_waits_for_its_end(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_bytes(b"one\ntw")
    reader = _log.LogReader(log)
    assert reader.read() == ["one"]
    with log.open("ab") as stream:
        stream.write(b"o\nthree")
    assert reader.read() == ["two"]
    assert reader.rest() == ["three"]
    assert reader.rest() == []


def test_colours_and_control_codes_are_removed(tmp_path: Path) -> None:
    (log := tmp_path / "log.txt").write_bytes(b"\x1b[31mred\x1b[0m\x07 \x1b[2Kplain\ttab\n\n")
    assert _log.LogReader(log).read() == ["red plain\ttab"]
