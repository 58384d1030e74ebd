"""Regret against epochs spent, as a PNG: a panel for all problems, and one for each family."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.search.problems import family
from benchmarks.search.score import Array, Results

_COLUMNS = 3
_POINTS = 120
_PANEL_INCHES = (4.6, 3.2)


@dataclass(frozen=True)
class Sheet:
    """What is drawn."""

    results: Results
    methods: Sequence[str]
    problems: Sequence[str]
    seeds: int
    trials: int

    def panels(self) -> dict[str, list[str]]:
        """The problems of each panel, by its title."""
        kinds = dict.fromkeys(map(family, self.problems))
        of_kind = {kind: [name for name in self.problems if family(name) == kind] for kind in kinds}
        return {"all problems": list(self.problems), **of_kind}

    def curves(self, method: str, names: Sequence[str], grid: Sequence[float]) -> Array:
        """Regret of every search of a method, when so many full trainings were spent; shape (searches, grid)."""
        tried = [name for name in names if self.results.has(method, name)]
        runs = [self.results.run(method, name, seed) for name in tried for seed in range(self.seeds)]
        return np.array([[run.within(part * run.epochs) for part in grid] for run in runs])


def draw(sheet: Sheet, file: Path) -> None:
    """Median over problems and seeds as a line, quartiles as a band.

    Raises:
        SystemExit: matplotlib is not installed.
    """
    try:
        import matplotlib
    except ImportError:
        raise SystemExit("--picture needs matplotlib: pip install 'tao-automl[bench]'") from None
    matplotlib.use("Agg")
    from matplotlib import pyplot

    panels = sheet.panels()
    lines = math.ceil(len(panels) / _COLUMNS)
    size = (_COLUMNS * _PANEL_INCHES[0], lines * _PANEL_INCHES[1])
    figure, axes = pyplot.subplots(lines, _COLUMNS, figsize=size, squeeze=False)
    for axis, (title, names) in zip(axes.flat, panels.items(), strict=False):
        axis.set_title(title, fontsize=10)
        for place, method in enumerate(sheet.methods):
            _line(axis, sheet, method, names, f"C{place}")
        axis.set_ylim(0, 1)
        axis.grid(alpha=0.3)
    for axis in axes.flat[len(panels) :]:
        axis.set_visible(False)
    axes[0][0].legend(fontsize=7)
    figure.supxlabel("epochs spent, in full trainings; median and quartiles", fontsize=10)
    figure.supylabel("normalised regret", fontsize=10)
    figure.tight_layout()
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=90)
    pyplot.close(figure)


def _line(axis: Any, sheet: Sheet, method: str, names: Sequence[str], color: str) -> None:
    grid = [sheet.trials * (part + 1) / _POINTS for part in range(_POINTS)]
    curves = sheet.curves(method, names, grid)
    if not curves.size:
        return
    low, median, high = np.quantile(curves, [0.25, 0.5, 0.75], axis=0)
    axis.plot(grid, median, label=method, color=color, linewidth=1.4)
    axis.fill_between(grid, low, high, color=color, alpha=0.12, linewidth=0)
