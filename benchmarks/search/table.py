"""What came of the runs, in text and in files."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.search import score
from benchmarks.search.loop import Run
from benchmarks.search.problems import family
from benchmarks.search.score import Cell, Results

BASE = "tpe"
MARGIN = 0.05


def summary(
    results: Results, methods: Sequence[str], problems: Sequence[str], seeds: int, trials: int
) -> list[dict[str, Any]]:
    """A row for each method: its regret after the epochs of `trials` full trainings, against TPE, and by family."""
    rows = []
    for method in methods:
        tried = [name for name in problems if results.has(method, name)]
        if not tried:
            continue
        compared = [name for name in tried if results.has(BASE, name)]

        def measure(name: str, seed: int, method: str = method) -> Cell:
            run = results.run(method, name, seed)
            return {"own": run.within(trials * run.epochs)}

        def beside(name: str, seed: int, method: str = method) -> Cell:
            base = results.run(BASE, name, seed)
            own, other = measure(name, seed, method)["own"], base.within(trials * base.epochs)
            return {"own": own, "base": other, "behind": own > other + MARGIN, "ahead": other > own + MARGIN}

        row: dict[str, Any] = {"method": method, **_spread(results.cells(tried, seeds, measure))}
        if compared:
            cells = results.cells(compared, seeds, beside)
            row["to TPE"] = str(score.estimate(cells, score.quotient))
            for word in ("behind", "ahead"):
                row[word] = float(np.mean([[cell[word] for cell in line] for line in cells]))
        for kind in dict.fromkeys(family(name) for name in tried):
            of_kind = [name for name in tried if family(name) == kind]
            row[kind] = _spread(results.cells(of_kind, seeds, measure))["mean"]
        rows.append(row)
    return rows


def text(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as a table, one method a line; families that a method has no runs of stay empty."""
    lines = _lines(rows)
    widths = [max(len(line[index]) for line in lines) for index in range(len(lines[0]))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """The same as a table of Markdown."""
    head, *body = ("| " + " | ".join(line) + " |" for line in _lines(rows))
    return "\n".join([head, "|---" * len(_lines(rows)[0]) + "|", *body])


def write(folder: Path, runs: Sequence[Run], rows: Sequence[dict[str, Any]]) -> None:
    """`summary.json`, and `runs.csv` with what each search recommended after each trial."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "summary.json").write_text(json.dumps({"schema": 1, "methods": list(rows)}, indent=1) + "\n")
    with (folder / "runs.csv").open("w", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow(["method", "problem", "seed", "workers", "trials", "epochs", "end_s", "regret"])
        for run in runs:
            task = run.task
            for point in run.points:
                known = (task.method, task.problem, task.seed, task.workers)
                writer.writerow([*known, point.trials, point.epochs, f"{point.end_s:.0f}", f"{point.regret:.5f}"])


def _spread(cells: Sequence[Sequence[Cell]]) -> dict[str, float]:
    values = np.array([[cell["own"] for cell in line] for line in cells])
    low, median, high = np.quantile(values, [0.25, 0.5, 0.75])
    return {"mean": float(values.mean()), "quartile": float(low), "median": float(median), "quartile3": float(high)}


def _lines(rows: Sequence[dict[str, Any]]) -> list[list[str]]:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    return [columns, *[[_cell(row.get(column)) for column in columns] for row in rows]]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" if isinstance(value, float) else str(value)
