"""Lines of status.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tao_automl.standin.statuslog import StatusLog


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_metrics_stick_until_they_are_replaced(tmp_path: Path) -> None:
    log = StatusLog(tmp_path / "status.json")
    log.write("one")
    log.kpi = {"val_mAP50": "0.5"}
    log.write("two")
    log.write("three")
    log.kpi = {"train_loss": 1.0}
    log.write("four")
    kpis = [line.get("kpi") for line in lines(tmp_path / "status.json")]
    assert kpis == [None, {"val_mAP50": "0.5"}, {"val_mAP50": "0.5"}, {"train_loss": 1.0}]


def test_an_epochs_line_begins_with_its_numbers(tmp_path: Path) -> None:
    StatusLog(tmp_path / "status.json").epoch(0, 3, 10, 10, (61.5, 0.25))
    line = lines(tmp_path / "status.json")[0]
    assert list(line)[:8] == [
        "epoch", "step", "max_epoch", "max_step", "time_per_epoch", "time_per_step", "eta", "date",
    ]  # fmt: skip
    assert (line["max_epoch"], line["max_step"]) == (2, 30)
    assert (line["time_per_epoch"], line["eta"]) == ("0:01:01.500000", "0:02:03")


def test_an_error_in_the_log_is_a_failure_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    StatusLog(tmp_path / "status.json").log("output is nan", level="ERROR")
    assert lines(tmp_path / "status.json")[0]["status"] == "FAILURE"
    assert "output is nan" in capsys.readouterr().out


def test_a_half_line_is_completed(tmp_path: Path) -> None:
    log = StatusLog(tmp_path / "status.json")
    log.half_line_s = 0.01
    log.write("one")
    log.write("two")
    assert [line["message"] for line in lines(tmp_path / "status.json")] == ["one", "two"]
