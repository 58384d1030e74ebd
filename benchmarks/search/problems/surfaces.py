"""Our own surfaces: families of trainings, each with a few instances. docs/benchmarks.md says what each is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from benchmarks.search.problems.problem import REFERENCE_DRAWS, Problem, draw, reference, stream
from benchmarks.search.problems.surface import Curve, Memory, Ridge, Surface, slopes
from benchmarks.search.problems.unit import nearby
from tao_automl.search.overrides import Overrides
from tao_automl.search.space import Limits, SearchSpace
from tao_automl.tao import keypath
from tao_automl.tao.facts import ActiveFact, SearchFacts
from tao_automl.tao.metric import Direction
from tao_automl.tao.schema import Schema

_EXPERT = 0.15  # of a range: how far launched values are from the best ones, one standard deviation

_LR = {"type": "float", "default": 2e-4, "minimum": 0.0, "maximum": 1.0, "math_cond": "> 0.0"}
_DECAY = {"type": "float", "default": 1e-4, "minimum": 0.0, "maximum": 1.0, "math_cond": "> 0.0"}
_BATCH = {"type": "int", "default": 8, "minimum": 1}
_PART = {"type": "float", "default": 0.5, "minimum": 0.0, "maximum": 1.0}
_DROPOUT = {"type": "float", "default": 0.1, "minimum": 0.0, "maximum": 1.0}
_MOMENTUM = {"type": "float", "default": 0.9, "minimum": 0.0, "maximum": 1.0}
_QUERIES = {"type": "int", "default": 300, "minimum": 1}
_LAYERS = {"type": "int", "default": 6, "minimum": 1}
_WIDTH = {"type": "int", "default": 256, "minimum": 32, "maximum": 2048}
_SIDE = {"type": "int", "default": 640, "minimum": 64}
_FACTOR = {"type": "float", "default": 0.1, "minimum": 0.0, "maximum": 1.0, "math_cond": "> 0.0"}
_OPTIMIZER = {"type": "categorical", "default": "AdamW", "enum": ["AdamW", "SGD", "Lion"]}
_POLICY = {"type": "categorical", "default": "MultiStep", "enum": ["MultiStep", "StepLR", "Cosine"]}
_PATCH = {"type": "ordered_int", "default": 16, "enum": [8, 14, 16, 32]}

Leaves = Mapping[str, Mapping[str, Any]]


def space_of(leaves: Leaves, facts: SearchFacts | None = None, epochs: int = 20) -> SearchSpace:
    """The space that the project builds from a schema with these leaves, launched with their defaults."""
    properties = {path: {**leaf, "automl_enabled": True} for path, leaf in leaves.items()}
    schema = Schema.parse({"properties": properties, "automl_default_parameters": list(leaves)}, "benchmark")
    return SearchSpace.build(schema, _launched(leaves), facts or SearchFacts(), Overrides(), Limits(epochs=epochs))


def problem(surface: Surface, family: str, raw: SearchSpace | None = None) -> Problem:
    """A surface as a problem."""
    return Problem(
        name=surface.name,
        family=family,
        space=surface.space,
        epochs=surface.epochs,
        direction=surface.direction,
        train=surface.train,
        mean=surface.mean,
        optimum=surface.top,
        reference=reference(surface.space, lambda values: _worth(surface, values)),
        epoch_s=surface.epoch_s,
        raw=raw,
        best=surface.best,
    )


def calibrated(surface: Surface, median: float) -> Surface:
    """The same surface with its penalties scaled so that the median random config has the penalty `median`."""
    rng = stream("calibrate", surface.name)
    factor = median / float(np.median([surface.penalty(draw(surface.space, rng)) for _ in range(REFERENCE_DRAWS)]))
    return surface.scaled(factor)


def _worth(surface: Surface, values: Mapping[str, Any]) -> float:
    best = max if surface.direction is Direction.MAXIMIZE else min
    return best(surface.mean(values))


def _launched(leaves: Leaves) -> dict[str, Any]:
    launched: dict[str, Any] = {}
    for path, leaf in leaves.items():
        launched = keypath.assign(launched, path, leaf["default"])
    return launched


def _finetune(name: str, rng: np.random.Generator) -> Surface:
    """A pretrained model: learning rate first, then what it is regularised with; overfits without weight decay."""
    space = space_of({"lr": _LR, "weight_decay": _DECAY, "batch_size": _BATCH, "dropout": _DROPOUT, "flip_prob": _PART})
    return Surface(
        name, space, nearby(space, _EXPERT, rng), slopes(space, ("lr",), 1.2, 0.6, rng), epochs=20,
        ridges=(Ridge("lr", "batch_size", 0.5, 0.15),), rate="lr",
        curve=Curve(0.15, {"lr": -2.0, "dropout": 0.8}, overfit=("weight_decay", 0.4)), cost={"batch_size": -0.6},
    )  # fmt: skip


def _scratch(name: str, rng: np.random.Generator) -> Surface:
    """From random weights with SGD: more parameters, a slow rise, a jump at the drop of the learning rate."""
    leaves = {
        "lr": {**_LR, "default": 0.02}, "momentum": _MOMENTUM, "weight_decay": {**_DECAY, "default": 5e-4},
        "batch_size": {**_BATCH, "default": 32}, "num_layers": _LAYERS, "hidden_dim": _WIDTH, "flip_prob": _PART,
        "mixup_prob": _PART, "lr_decay": _FACTOR,
    }  # fmt: skip
    space = space_of(leaves, epochs=30)
    return Surface(
        name, space, nearby(space, _EXPERT, rng), slopes(space, ("lr",), 1.8, 0.75, rng), epochs=30, silent=True,
        ridges=(Ridge("lr", "momentum", -0.6, 0.2), Ridge("lr", "batch_size", 0.5, 0.15)), rate="lr", noise=0.005,
        curve=Curve(0.45, {"lr": -1.5, "mixup_prob": 0.8, "num_layers": 0.5}, jump=0.12),
        cost={"num_layers": 0.8, "hidden_dim": 0.8, "batch_size": -0.5},
    )  # fmt: skip


def _sparse(name: str, rng: np.random.Generator) -> Surface:
    """Fourteen parameters of which three matter."""
    leaves = {"lr": _LR, "weight_decay": _DECAY, "batch_size": _BATCH, "num_layers": _LAYERS, "num_queries": _QUERIES}
    leaves |= {f"{word}_prob": _PART for word in ("flip", "crop", "blur", "mosaic", "mixup")}
    leaves |= {f"{word}_ratio": _PART for word in ("noise", "shear", "erase", "cutout")}
    space = space_of(leaves)
    return Surface(
        name, space, nearby(space, _EXPERT, rng), slopes(space, ("lr",), 1.5, 0.4, rng), epochs=20, rate="lr",
        curve=Curve(0.25, {"lr": -1.5}), cost={"num_layers": 0.7, "num_queries": 0.3},
    )  # fmt: skip


def _ridge(name: str, rng: np.random.Generator) -> Surface:
    """Learning rate, batch and weight decay make up for each other: one at a time leads nowhere."""
    space = space_of(
        {"lr": _LR, "weight_decay": _DECAY, "batch_size": _BATCH, "dropout": _DROPOUT, "num_layers": _LAYERS}
    )
    return Surface(
        name, space, nearby(space, 0.2, rng), slopes(space, ("lr",), 0.4, 0.7, rng), epochs=20, rate="lr", cliff=0.35,
        ridges=(Ridge("lr", "batch_size", 0.8, 0.5), Ridge("lr", "weight_decay", -0.6, 0.5)),
        curve=Curve(0.25, {"lr": -1.5}), cost={"num_layers": 0.7},
    )  # fmt: skip


def _mixed(name: str, rng: np.random.Generator) -> Surface:
    """Sets without order, one of which decides whether another parameter lives."""
    leaves: Leaves = {
        "optimizer": _OPTIMIZER, "policy": _POLICY, "patch_size": _PATCH, "lr": _LR, "momentum": _MOMENTUM,
        "weight_decay": _DECAY, "batch_size": _BATCH, "drop_path_ratio": {**_PART, "default": 0.1},
    }  # fmt: skip
    space = space_of(leaves, SearchFacts(active=(ActiveFact("momentum", when=({"optimizer": "SGD"},)),)))
    best = nearby(space, _EXPERT, rng)
    costs = {}
    for path in ("optimizer", "policy"):
        others = [choice for choice in leaves[path]["enum"] if choice != best[path]]
        costs[path] = {choice: float(rng.uniform(0.03, 0.4)) for choice in others}
        # The launched choice is the best one in two of three trainings.
        if rng.random() < 1 / 3:
            better = str(rng.choice(others))
            costs[path] = {**costs[path], best[path]: costs[path][better], better: 0.0}
            best[path] = better
    if best["optimizer"] == "SGD":
        best["momentum"] = 0.93
    return Surface(
        name, space, best, slopes(space, ("lr",), 1.2, 0.6, rng), epochs=20, choices=costs, rate="lr", silent=True,
        ridges=(Ridge("lr", "batch_size", 0.5, 0.1),), curve=Curve(0.25, {"lr": -1.5}, jump=0.05),
        cost={"patch_size": -1.5},
    )  # fmt: skip


def _late(name: str, rng: np.random.Generator) -> Surface:
    """What ends best begins slowly: a fifth of all configs is ahead of the best one after a third of the epochs."""
    space = space_of(
        {"lr": _LR, "weight_decay": _DECAY, "dropout": _DROPOUT, "mixup_prob": _PART, "num_layers": _LAYERS}, epochs=27
    )
    best = nearby(space, _EXPERT, rng)
    best |= {"dropout": float(rng.uniform(0.3, 0.45)), "mixup_prob": float(rng.uniform(0.65, 0.9))}
    slope = slopes(space, ("mixup_prob", "dropout", "lr"), 1.2, 0.7, rng)
    curve = Curve(2.0, {"mixup_prob": 4.0, "dropout": 4.0, "lr": -2.0, "num_layers": 0.6})
    return Surface(name, space, best, slope, epochs=27, curve=curve, rate="lr", cost={"num_layers": 0.7})


def _loss(name: str, rng: np.random.Generator) -> Surface:
    """A loss that is minimised, over orders of magnitude, with noise that grows with it."""
    space = space_of(
        {
            "lr": {**_LR, "default": 1e-3},
            "weight_decay": _DECAY,
            "batch_size": _BATCH,
            "hidden_dim": _WIDTH,
            "dropout": _DROPOUT,
        }
    )
    return Surface(
        name, space, nearby(space, _EXPERT, rng), slopes(space, ("lr",), 2.0, 0.6, rng), epochs=20, top=0.1,
        direction=Direction.MINIMIZE, rate="lr", noise=0.001, curve=Curve(0.15, {"lr": -1.5}), cost={"hidden_dim": 0.8},
    )  # fmt: skip


def _memory(name: str, rng: np.random.Generator) -> Surface:
    """More of everything is better until it no longer fits the GPU: batch, queries and resolution share its memory."""
    leaves = {"lr": _LR, "weight_decay": _DECAY, "batch_size": _BATCH, "num_queries": _QUERIES, "image_size": _SIDE}
    space = space_of(leaves)
    best = nearby(space, _EXPERT, rng)
    best |= {
        "batch_size": 16,
        "num_queries": int(rng.choice([450, 500, 550])),
        "image_size": int(rng.choice([768, 800, 832])),
    }
    powers = {"batch_size": 1.0, "num_queries": 0.5, "image_size": 2.0}
    limit = Memory(powers, 0.0).need(best) + 0.15
    return Surface(
        name, space, best, slopes(space, ("lr", "image_size", "batch_size"), 1.2, 0.75, rng), epochs=20, rate="lr",
        memory=Memory(powers, limit), curve=Curve(0.25, {"lr": -1.5}), cost={"image_size": 1.4, "num_queries": 0.4},
    )  # fmt: skip


# The family, how many instances, and the penalty of the median random config: 0.8 leaves 45 % of the optimum.
_FAMILIES: Mapping[str, tuple[Callable[[str, np.random.Generator], Surface], int, float]] = {
    "finetune": (_finetune, 3, 0.8),
    "scratch": (_scratch, 3, 0.8),
    "sparse": (_sparse, 3, 0.8),
    "ridge": (_ridge, 3, 0.8),
    "mixed": (_mixed, 3, 0.8),
    "late": (_late, 2, 0.5),
    "loss": (_loss, 2, 1.6),
    "memory": (_memory, 2, 0.8),
}


def _build(family: str, number: int) -> Problem:
    make, _, median = _FAMILIES[family]
    name = f"{family}-{number}"
    return problem(calibrated(make(name, stream("surface", name)), median), family)


PROBLEMS: Mapping[str, Callable[[], Problem]] = {
    f"{family}-{number}": partial(_build, family, number)
    for family, (_, count, _) in _FAMILIES.items()
    for number in range(1, count + 1)
}
