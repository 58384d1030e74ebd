"""events.jsonl: appended, one JSON object a line, readable while it is written."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest

from tao_automl.events import EventLog, read

NOON = datetime(2026, 1, 2, 12, 0, 0)


def test_events_go_to_the_file_and_to_listeners(tmp_path: Path) -> None:
    seen: list[dict] = []
    log = EventLog(tmp_path / "events.jsonl", "s", lambda: NOON)
    log.listen(seen.append)
    log.emit("trial_started", trial=3, reason=None)
    assert read(tmp_path / "events.jsonl") == seen
    assert seen[0]["event"] == "trial_started"
    assert seen[0]["schema"] == 1
    assert "reason" not in seen[0]
    assert datetime.fromisoformat(seen[0]["time"]).tzinfo is not None


def test_a_second_driver_appends(tmp_path: Path) -> None:
    for _ in range(2):
        EventLog(tmp_path / "events.jsonl", "s", lambda: NOON).emit("study_started")
    assert len(read(tmp_path / "events.jsonl")) == 2


def test_a_half_written_line_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    EventLog(path, "s", lambda: NOON).emit("study_started")
    with path.open("a") as stream:
        stream.write(json.dumps({"event": "epoch"})[:-3])
    assert [event["event"] for event in read(path)] == ["study_started"]


def test_no_nan_gets_into_the_log(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        EventLog(tmp_path / "events.jsonl", "s", lambda: NOON).emit("epoch", value=float("nan"))


def test_a_study_without_events_has_none(tmp_path: Path) -> None:
    assert read(tmp_path / "events.jsonl") == []
