"""Real trainings: small models of scikit-learn on data sets that it brings along, and the stand-in trainer.

What a config is worth is the mean over four trainings that no search sees. `_KNOWN` has the best config of many that
were tried, and the median random one, as `python -m benchmarks.search.explore` finds them. Searches start at
scikit-learn's own defaults, or at DINO's launched config.
"""

from __future__ import annotations

import importlib.util
import json
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.search.problems import dino
from benchmarks.search.problems.problem import Outcome, Problem, Values, draw, stream
from tao_automl.search.parameter import Encoding, Parameter
from tao_automl.search.space import SearchSpace
from tao_automl.standin import examples, shapes
from tao_automl.standin.learner import SIDE, Learner
from tao_automl.standin.recipe import Recipe
from tao_automl.tao import keypath
from tao_automl.tao.metric import Direction

EPOCHS = 12
_REPEATS = 4
_HIDDEN_SEED = 10_000_000  # of the repeats, far from those of any search


@dataclass(frozen=True)
class Trained:
    """A model: its space, and how it is fitted: the metric by epoch for a config and a seed."""

    space: Callable[[], SearchSpace]
    direction: Direction
    fit: Callable[[Values, int], Iterator[float]]
    draws: int = 25  # random configs, trained once each, whose median is the reference where none is known


def _space(*parameters: Parameter) -> Callable[[], SearchSpace]:
    return lambda: SearchSpace(parameters, order=tuple(item.path for item in parameters))


def _range(path: str, default: float, low: float, high: float) -> Parameter:
    return Parameter(path, "float", default, "scikit-learn", low=low, high=high, log=True)


def _part(path: str, default: float, low: float, high: float) -> Parameter:
    return Parameter(path, "float", default, "scikit-learn", low=low, high=high)


def _whole(path: str, default: int, low: int, high: int) -> Parameter:
    return Parameter(path, "int", default, "scikit-learn", low=low, high=high)


def _ordered(path: str, default: int, *choices: int) -> Parameter:
    return Parameter(path, "int", default, "scikit-learn", choices=choices, encoding=Encoding.INDEX)


def _one_of(path: str, *choices: str) -> Parameter:
    return Parameter(path, "categorical", choices[0], "scikit-learn", choices=choices)


@lru_cache
def _data(name: str) -> tuple[Any, Any, Any, Any]:
    from sklearn import datasets, model_selection, preprocessing

    found = getattr(datasets, f"load_{name}")()
    split = model_selection.train_test_split(
        found.data, found.target, test_size=0.5, random_state=0, stratify=found.target
    )
    scaler = preprocessing.StandardScaler().fit(split[0])
    return scaler.transform(split[0]), scaler.transform(split[1]), split[2], split[3]


def _mlp(values: Values, seed: int) -> Iterator[float]:
    from sklearn.neural_network import MLPClassifier

    train_x, val_x, train_y, val_y = _data("digits")
    model = MLPClassifier((values["width"],) * values["depth"], random_state=seed, **_only(values, "width", "depth"))
    for _ in range(EPOCHS):
        model.partial_fit(train_x, train_y, classes=range(10))
        yield float(model.score(val_x, val_y))


def _linear(values: Values, seed: int) -> Iterator[float]:
    from sklearn.linear_model import SGDClassifier

    train_x, val_x, train_y, val_y = _data("digits")
    model = SGDClassifier(random_state=seed, **values)
    order = np.random.default_rng(seed)
    for _ in range(EPOCHS):
        rows = order.permutation(len(train_x))
        model.partial_fit(train_x[rows], train_y[rows], classes=range(10))
        yield float(model.score(val_x, val_y))


def _boosting(values: Values, seed: int) -> Iterator[float]:
    from sklearn.ensemble import GradientBoostingClassifier
    from sklearn.metrics import log_loss

    train_x, val_x, train_y, val_y = _data("breast_cancer")
    model = GradientBoostingClassifier(random_state=seed, warm_start=True, **values)
    for epoch in range(EPOCHS):
        model.set_params(n_estimators=8 * (epoch + 1))
        model.fit(train_x, train_y)
        yield float(log_loss(val_y, model.predict_proba(val_x)))


@lru_cache
def _shapes() -> tuple[Any, Any]:
    with tempfile.TemporaryDirectory() as folder:
        shapes.write(Path(folder))
        splits = [Path(folder, name) for name in ("train", "val")]
        train, val = (examples.load([(split / "images", split / "annotations.json")], SIDE) for split in splits)
    return train, val


def _standin(values: Values, seed: int) -> Iterator[float]:
    train, val = _shapes()
    spec = dino.launch(EPOCHS)[2]
    for path, value in values.items():
        spec = keypath.assign(spec, path, value)
    learner = Learner(Recipe.of(spec), len(shapes.SHAPES) + 1, seed)
    for epoch in range(EPOCHS):
        learner.train_epoch(train, epoch)
        yield float(learner.validate(val, val.categories)[0].map50)


def _only(values: Values, *without: str) -> dict[str, Any]:
    return {path: value for path, value in values.items() if path not in without}


MODELS: Mapping[str, Trained] = {
    "trained-mlp": Trained(
        _space(
            _range("learning_rate_init", 1e-3, 1e-5, 0.3),
            _range("alpha", 1e-4, 1e-6, 1.0),
            _ordered("batch_size", 200, 8, 16, 32, 64, 128, 200, 400),
            _ordered("width", 100, 16, 32, 64, 100, 150),
            _whole("depth", 1, 1, 3),
            _one_of("solver", "adam", "sgd"),
            _one_of("activation", "relu", "tanh", "logistic"),
        ),
        Direction.MAXIMIZE,
        _mlp,
    ),
    "trained-linear": Trained(
        _space(
            _range("alpha", 1e-4, 1e-7, 1.0),
            _range("eta0", 0.01, 1e-5, 1.0),
            _one_of("loss", "hinge", "log_loss", "modified_huber"),
            _one_of("penalty", "l2", "l1", "elasticnet"),
            _one_of("learning_rate", "optimal", "constant", "invscaling"),
        ),
        Direction.MAXIMIZE,
        _linear,
    ),
    "trained-boosting": Trained(
        _space(
            _range("learning_rate", 0.1, 0.003, 1.0),
            _whole("max_depth", 3, 1, 8),
            _part("subsample", 1.0, 0.3, 1.0),
            _whole("min_samples_leaf", 1, 1, 30),
            _part("max_features", 1.0, 0.1, 1.0),
        ),
        Direction.MINIMIZE,
        _boosting,
    ),
    "standin-dino": Trained(partial(dino.space_for, EPOCHS), Direction.MAXIMIZE, _standin, draws=9),
}

# The best of those tried, and the median random config. Without: the best that is possible, and the median of a few.
_KNOWN: Mapping[str, tuple[float, float]] = {
    "trained-linear": (0.9569, 0.9242),
}


def _curve(name: str, values: Values, seed: int) -> tuple[float, ...]:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # a config that does not converge is one, and says so in its score
        try:
            return tuple(MODELS[name].fit(values, seed))
        except (ValueError, FloatingPointError):  # weights that are no numbers
            return ()


def _train(name: str, values: Values, seed: int) -> Outcome:
    shown = tuple(value for value in _curve(name, values, seed) if np.isfinite(value))
    missing = EPOCHS - len(shown)
    return Outcome(shown + (None,) * missing, "diverged" if missing else None)


@lru_cache(maxsize=4096)
def _mean(name: str, config: str) -> tuple[float, ...]:
    values = json.loads(config)
    curves = [_curve(name, values, _HIDDEN_SEED + repeat) for repeat in range(_REPEATS)]
    whole = [curve for curve in curves if len(curve) == EPOCHS]
    worst = 0.0 if MODELS[name].direction is Direction.MAXIMIZE else 10.0
    return tuple(np.mean(whole, axis=0).tolist()) if whole else (worst,) * EPOCHS


def mean(name: str, values: Values) -> tuple[float, ...]:
    """The metric by epoch, over trainings of its own."""
    return _mean(name, json.dumps(values, sort_keys=True))


def space(name: str) -> SearchSpace:
    """What is searched of a model."""
    return MODELS[name].space()


def _bounds(name: str) -> tuple[float, float]:
    model, searched, rng = MODELS[name], space(name), stream("reference", name)
    maximizes = model.direction is Direction.MAXIMIZE
    pick, nothing = (max, 0.0) if maximizes else (min, 10.0)
    shown = (_curve(name, draw(searched, rng), _HIDDEN_SEED + number) for number in range(model.draws))
    median = float(np.median([pick(curve) if curve else nothing for curve in shown]))
    return (1.0 if maximizes else 0.0), median


def _build(name: str) -> Problem:
    model = MODELS[name]
    optimum, reference = _KNOWN[name] if name in _KNOWN else _bounds(name)
    train, worth = partial(_train, name), partial(mean, name)
    return Problem(name, name.partition("-")[0], space(name), EPOCHS, model.direction, train, worth, optimum, reference)


PROBLEMS: Mapping[str, Callable[[], Problem]] = {
    name: partial(_build, name) for name in MODELS if name.startswith("standin") or importlib.util.find_spec("sklearn")
}
