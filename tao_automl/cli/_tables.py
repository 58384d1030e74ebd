"""Tables of text: no boxes, every column keeps its width, and one column folds when it gets narrow."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from rich.cells import cell_len
from rich.text import Text

Item = TypeVar("Item")

GAP = 2
ELASTIC_MIN = 14  # a narrower column of words reads worse than none


@dataclass(frozen=True)
class Column:
    """`right` for numbers. At most one column of a table is `elastic`: it alone folds, or goes."""

    title: str
    right: bool = False
    elastic: bool = False


@dataclass(frozen=True)
class Table:
    """Columns and rows of cells; a cell is text or None."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[str | Text | None]]

    def lines(self, width: int) -> list[Text]:
        """The table as lines, for `width` columns of a terminal.

        Columns without any content are left out. Rigid columns are never cut: if even they do not fit, the
        lines are longer than `width`. An elastic column that gets too narrow is left out, and the last line
        says so.
        """
        columns, rows = self._filled()
        widths, elastic = _widths(columns, rows)
        dropped = ""
        if elastic is not None:
            room = _room(widths, elastic, width)
            if room < min(widths[elastic], ELASTIC_MIN):
                dropped = columns[elastic].title
                columns, widths = _without(columns, elastic), _without(widths, elastic)
                rows = [_without(row, elastic) for row in rows]
            else:
                widths[elastic] = min(widths[elastic], room)
        header = [Text(column.title, style="bold") for column in columns]
        out = [line for row in [header, *rows] for line in _row(row, columns, widths)]
        if dropped:
            out.append(Text(f"(no room for {dropped}: a wider terminal or --json shows it)", style="dim"))
        return out

    def gives_way(self, width: int) -> bool:
        """Whether the elastic column finds no room."""
        widths, elastic = _widths(*self._filled())
        return elastic is not None and _room(widths, elastic, width) < min(widths[elastic], ELASTIC_MIN)

    def _filled(self) -> tuple[list[Column], list[list[Text]]]:
        rows = [[_text(cell) for cell in row] for row in self.rows]
        used = [place for place in range(len(self.columns)) if not rows or any(row[place] for row in rows)]
        return [self.columns[place] for place in used], [[row[place] for place in used] for row in rows]


def _widths(columns: Sequence[Column], rows: Sequence[Sequence[Text]]) -> tuple[list[int], int | None]:
    """How wide each column wants to be, and the place of the elastic one."""
    widths = [
        max(cell_len(column.title), *(cell_len(row[place].plain) for row in rows), 0)
        for place, column in enumerate(columns)
    ]
    return widths, next((place for place, column in enumerate(columns) if column.elastic), None)


def _room(widths: Sequence[int], elastic: int, width: int) -> int:
    """What is left for the elastic column."""
    return width - sum(widths) + widths[elastic] - GAP * (len(widths) - 1)


def _text(cell: str | Text | None) -> Text:
    return cell if isinstance(cell, Text) else Text(cell or "")


def _without(items: Sequence[Item], place: int) -> list[Item]:
    return [item for index, item in enumerate(items) if index != place]


def _row(cells: Sequence[Text], columns: Sequence[Column], widths: Sequence[int]) -> list[Text]:
    folded = [_fold(cell, width) for cell, width in zip(cells, widths, strict=True)]
    out = []
    for number in range(max(map(len, folded))):
        line = Text()
        for place, (column, width) in enumerate(zip(columns, widths, strict=True)):
            part = folded[place][number] if number < len(folded[place]) else Text("")
            padding = " " * (width - cell_len(part.plain))
            line.append(" " * GAP if place else "")
            line.append_text(Text(padding) + part if column.right else part + Text(padding))
        line.rstrip()
        out.append(line)
    return out


def _fold(cell: Text, width: int) -> list[Text]:
    if cell_len(cell.plain) <= width:
        return [cell]
    pieces = textwrap.wrap(cell.plain, width, break_on_hyphens=False) or [""]
    return [Text(piece, style=cell.style) for piece in pieces]


def facts(pairs: Iterable[tuple[str, str | Text | None]]) -> list[Text]:
    """`Name   value` lines; a value that is None or empty is left out, a multi-line one is indented."""
    shown = [(name, value if isinstance(value, Text) else Text(value)) for name, value in pairs if value]
    width = max((len(name) for name, _ in shown), default=0) + GAP
    out = []
    for name, value in shown:
        for number, part in enumerate(value.split("\n")):
            head = Text(f"{'' if number else name:<{width}}", style="bold")
            out.append(head + part)
    return out
