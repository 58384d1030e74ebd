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

BASE = "tpe"
MARGIN = 0.05


def summary(runs: Sequence[Run], methods: Sequence[str], trials: int) -> list[dict[str, Any]]:
    """A row for each method: its regret after the epochs of `trials` full trainings, over all problems and by family, against Optuna's TPE."""
    base = score.grid(runs, BASE, lambda run: run.within(trials * run.epochs))
    rows = []
    for method in methods:
        found = score.grid(runs, method, lambda run: run.within(trials * run.epochs))
        if not found:
            continue
        every = [value for seeds in found.values() for value in seeds.values()]
        low, median, high = (float(value) for value in np.quantile(every, [0.25, 0.5, 0.75]))
        row = {"method": method, "mean": score.mean(found), "quartile": low, "median": median, "quartile3": high}
        if base:
            row["to TPE"] = str(score.ratio(found, base))
            row["behind"] = score.behind(found, base, MARGIN)
            row["ahead"] = score.behind(base, found, MARGIN)
        row |= {family: score.mean(grid) for family, grid in _families(found).items()}
        rows.append(row)
    return rows


def text(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as a table, one method a line; families that a method has no runs of stay empty."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    cells = [columns, *[[_cell(row.get(column)) for column in columns] for row in rows]]
    widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]
    lines = [
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in cells
    ]
    return "\n".join(line.rstrip() for line in lines)


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


def _families(found: dict[str, dict[int, float]]) -> dict[str, dict[str, dict[int, float]]]:
    grouped: dict[str, dict[str, dict[int, float]]] = {}
    for name, seeds in found.items():
        stem, _, centre = name.partition("~")
        family = stem.partition(":")[0] if ":" in stem else stem.rpartition("-")[0]
        grouped.setdefault(f"{family}~{centre}" if centre else family, {})[name] = seeds
    return grouped


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" if isinstance(value, float) else str(value)
