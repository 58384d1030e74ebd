"""The part of docs/benchmarks.md that a run writes."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.search import table
from benchmarks.search.figures import Figure

BEGIN, END = "<!-- measured -->", "<!-- /measured -->"


def write(
    file: Path, command: Sequence[str], tables: Mapping[int, Sequence[dict[str, Any]]], found: Sequence[Figure]
) -> None:
    """Replace what stands between the marks.

    Raises:
        SystemExit: the file has no marks.
    """
    text = file.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{file} has no place for it: {BEGIN} and {END}")
    parts = [f"```\npython -m benchmarks.search {shlex.join(_public(command))}\n```"]
    for count, rows in tables.items():
        parts.append(f"Normalised regret after the epochs of {count} full trainings:\n\n{table.markdown(rows)}")
    if "--picture" in command:
        drawn = command[command.index("--picture") + 1]
        parts.append(f"![regret against epochs]({os.path.relpath(drawn, file.parent)})")
    if found:
        lines = [
            f"| {item.name} | {item.wanted} | {item.measured or 'not measured'} | {'yes' if item.holds else 'no'} |"
            for item in found
        ]
        parts.append(
            "\n".join(["| figure | wanted | measured, 95 % interval | reached |", "|---|---|---|---|", *lines])
        )
    file.write_text("\n\n".join([f"{before}{begin}", *parts, f"{end}{after}"]), encoding="utf-8")


def _public(command: Sequence[str]) -> list[str]:
    """The command without what says where its files lie, and how many processes there were."""
    hidden = ("--cache", "--output", "--docs", "--jobs")
    return [
        word
        for before, word in zip(["", *command], command, strict=False)
        if before not in hidden and word not in hidden
    ]
