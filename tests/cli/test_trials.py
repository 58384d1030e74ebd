"""Trials as rows of a table."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tao_automl import report
from tao_automl.cli import _trials
from tao_automl.cli._trials import Row
from tao_automl.report import Study, Where
from tests.cli import study_on_disk

LR = "train.optim.lr"
NOTE = "best, attempt 2, its reason is longer than what a narrow terminal has room for"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = tmp_path_factory.mktemp("studies")
    study_on_disk.make(folder)
    return report.study(Where(folder), "coco", datetime.now())


def text(rows: list[Row], width: int = 100, unicode: bool = True) -> list[str]:
    return [line.plain for line in _trials.table(rows, "val_mAP50", [LR], unicode=unicode).lines(width)]


def test_each_trial_is_a_row_with_what_is_known_of_it(study: Study) -> None:
    rows = _trials.rows(study)
    assert [row.number for row in rows] == [0, 1, 2, 3, 4]
    assert [row.state for row in rows] == ["COMPLETE", "COMPLETE", "PRUNED", "FAIL", "RUNNING"]
    assert [row.value for row in rows] == [0.4688, 0.5127, 0.02, 0.0912, 0.2]
    assert [row.done for row in rows] == [10, 10, 3, 2, 1]


def test_the_note_says_what_is_special(study: Study) -> None:
    notes = [row.note for row in _trials.rows(study)]
    assert notes == ["defaults", "best", "", "gpu_oom", "attempt 2, 'resume' goes on with it"]


def test_time_of_an_active_trial_is_shown_only_while_somebody_drives_it(study: Study) -> None:
    assert _trials.rows(study)[4].time_s is None
    driven = _trials.rows(replace(study, driver="process 1 on box"))[4]
    assert driven.time_s is not None
    assert "resume" not in driven.note


@pytest.mark.parametrize(
    ("changed", "state"),
    [
        ({"points": {}}, "STARTING"),
        ({}, "RUNNING"),
        ({"intent": "pruned"}, "STOPPING"),
        ({"intent": "interrupted", "parked": True}, "STOPPED"),
    ],
)
def test_an_active_trial_is_starting_running_stopping_or_stopped(study: Study, changed, state: str) -> None:
    active = replace(study.trials[4], **changed)
    (row,) = _trials.rows(replace(study, trials=(active,)))
    assert row.state == state
    assert row.is_active == (state != "STOPPED")


ROW = Row(7, "COMPLETE", 10, 10, 0.51273, {LR: 2.71e-4}, 192.0, NOTE)


def test_a_row_of_the_table() -> None:
    header, line = text([replace(ROW, note="best")])
    assert header == "TRIAL  STATE     EPOCH             val_mAP50        lr   TIME  NOTE"
    assert line == "    7  complete  ━━━━━━━━━━ 10/10     0.5127  0.000271  3m12s  best"


def test_absent_is_blank() -> None:
    header, line = text([Row(0, "STARTING", epochs=10)])
    assert header.split() == ["TRIAL", "STATE", "EPOCH"]
    assert line.split() == ["0", "starting", "╌╌╌╌╌╌╌╌╌╌", "0/10"]


def test_without_unicode_the_table_is_ascii() -> None:
    assert "\n".join(text([ROW], unicode=False)).isascii()


@pytest.mark.parametrize("width", [70, 76, 80, 100])
def test_only_the_note_gives_way(width: int) -> None:
    wide, narrow = text([ROW], 300), text([ROW], width)
    start = wide[0].index("NOTE")
    assert [line[:start].rstrip() for line in narrow[:2]] == [line[:start].rstrip() for line in wide]
    note = " ".join(line[start:].strip() for line in narrow[1:])
    assert note == NOTE or "no room for NOTE" in narrow[-1]
    assert all(len(line) <= width for line in narrow)


@given(
    st.integers(1, 200),
    st.lists(st.tuples(st.integers(0, 999), st.floats(0, 1), st.floats(1e-6, 1)), min_size=1, max_size=4),
)
def test_numbers_are_never_cut(width: int, trials: list[tuple[int, float, float]]) -> None:
    rows = [Row(number, "PRUNED", 1, 10, value, {LR: lr}, 60.0, NOTE) for number, value, lr in trials]
    whole = {word for line in text(rows, 1000)[1:] for word in line.split()[:6]}
    assert whole <= set(" ".join(text(rows, width)).split())


@pytest.mark.parametrize(
    ("states", "said"),
    [
        ({}, "no trials"),
        ({"COMPLETE": 7, "PRUNED": 3, "FAIL": 1, "RUNNING": 2}, "7 complete, 3 pruned, 1 failed, 2 active"),
        ({"RUNNING": 2}, "2 active"),
        ({"FAIL": 1, "COMPLETE": 0}, "1 failed"),
    ],
)
def test_counts(states: dict[str, int], said: str) -> None:
    assert _trials.counts(states) == said
