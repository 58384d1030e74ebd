"""Tables: every column keeps its width, one folds."""

from __future__ import annotations

import pytest
from rich.cells import cell_len
from rich.text import Text

from tao_automl.cli import _tables

Column, Table, facts = _tables.Column, _tables.Table, _tables.facts

COLUMNS = [Column("TRIAL", right=True), Column("val_mAP50", right=True), Column("NOTE", elastic=True)]
ROWS = [
    ["0", "0.4688", "defaults"],
    ["12", "0.5127", "best, attempt 2, its log is long and its reason is longer than that"],
]


def text(table: _tables.Table, width: int) -> str:
    return "\n".join(line.plain for line in table.lines(width))


def test_wide_table_is_aligned_and_has_no_boxes_or_trailing_spaces() -> None:
    assert text(Table(COLUMNS, ROWS[:1]), 80) == "TRIAL  val_mAP50  NOTE\n    0     0.4688  defaults"


def test_only_the_elastic_column_folds() -> None:
    assert text(Table(COLUMNS, ROWS), 44) == (
        "TRIAL  val_mAP50  NOTE\n"
        "    0     0.4688  defaults\n"
        "   12     0.5127  best, attempt 2, its log\n"
        "                  is long and its reason is\n"
        "                  longer than that"
    )


def test_elastic_column_that_finds_no_room_is_left_out_with_a_word() -> None:
    shown = text(Table(COLUMNS, ROWS), 24)
    assert "defaults" not in shown
    assert shown.splitlines()[-1] == "(no room for NOTE: a wider terminal or --json shows it)"
    assert "0.5127" in shown


def test_numbers_are_whole_even_where_the_terminal_is_narrower_than_the_table() -> None:
    shown = text(Table(COLUMNS, ROWS), 5)
    assert "0.4688" in shown
    assert "0.5127" in shown


def test_column_without_content_is_left_out() -> None:
    assert text(Table(COLUMNS, [["0", "0.4688", None]]), 80) == "TRIAL  val_mAP50\n    0     0.4688"


def test_word_longer_than_the_column_is_broken_not_cut() -> None:
    path = "studies/a/trials/0000/attempt-1/train/model_epoch_009.pth"
    shown = Table([Column("N", right=True), Column("PATH", elastic=True)], [["1", path]]).lines(30)
    assert "".join(line.plain.strip() for line in shown[1:]).replace("1  ", "") == path


@pytest.mark.parametrize("width", [34, 50, 80, 100])
def test_lines_keep_to_the_width(width: int) -> None:
    assert all(cell_len(line.plain) <= width for line in Table(COLUMNS, ROWS).lines(width))


def test_wide_characters_count_as_two_cells() -> None:
    table = Table([Column("A"), Column("B")], [["検出", "x"], ["ab", "y"]])
    assert text(table, 80) == "A     B\n検出  x\nab    y"


def test_facts_leave_out_what_is_absent_and_indent_further_lines() -> None:
    shown = facts([("Study", "a"), ("Why", None), ("Log", "one\ntwo"), ("Styled", Text("ok"))])
    assert [line.plain for line in shown] == ["Study   a", "Log     one", "        two", "Styled  ok"]
