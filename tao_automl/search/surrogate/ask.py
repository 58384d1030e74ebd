"""From a study to the params of its next trial, and from a search space to its cube."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial
from scipy.special import ndtri

from tao_automl.search.attributes import WARM
from tao_automl.search.parameter import Encoding
from tao_automl.search.space import SearchSpace
from tao_automl.search.surrogate import history
from tao_automl.search.surrogate.axes import Axis, Cube, Points
from tao_automl.search.surrogate.gaussian import Evidence
from tao_automl.search.surrogate.proposal import Request, propose

_WARM_POINTS = 60  # of earlier studies, the best first
_WARM_NOISE = 5.0  # a rank in another study says less than a value of ours


def next_config(study: Study, number: int, space: SearchSpace, seed: int, batch: bool) -> dict[str, Any]:
    """Codes by Optuna's names for the trial `number`; {} where nothing is known of the space yet."""
    trials = study.get_trials(deepcopy=False)
    cube = cube_of(space) if space.parameters else _seen(trials)
    if not len(cube):
        return {}
    before = history.read(cube, space, trials, study.direction is StudyDirection.MAXIMIZE, number)
    prior = _warm(cube, study.user_attrs.get(WARM) or ())
    if not space.parameters:
        return cube.params(propose(Request(cube, before, prior, seed, number, lambda points: points, batch)))

    def real(points: Points) -> Points:
        return cube.points([space.nearest(cube.params(point)) for point in points])

    return cube.params(propose(Request(cube, before, prior, seed, number, real, batch)))


def cube_of(space: SearchSpace) -> Cube:
    """An axis for each searched parameter, at its widest range, with its launched value as the centre."""
    centre = space.centre()
    axes = []
    for parameter in space.parameters:
        domain = parameter.domain()
        axis = Axis(parameter.name, domain.distribution(), grows=parameter.grows)
        code = centre.get(parameter.name)
        if code is None and parameter.encoding is not Encoding.GAP:
            code = domain.clip(parameter.encode(parameter.default))
        place = None if code is None else axis.place(code)
        axes.append(Axis(axis.name, axis.distribution, place, axis.grows))
    return Cube(tuple(axes))


def _seen(trials: Sequence[FrozenTrial]) -> Cube:
    """The cube of a study whose space only its trials know; its centre is trial 0, if that was enqueued."""
    known: dict[str, BaseDistribution] = {}
    for trial in trials:
        for name, distribution in trial.distributions.items():
            if known.get(name) != distribution:
                known[name] = _wider(known.get(name, distribution), distribution)
    first = trials[0] if trials else None
    given: Mapping[str, Any] = first.system_attrs.get("fixed_params", {}) if first else {}
    axes = []
    for name, distribution in sorted(known.items()):
        place = Axis(name, distribution).place(given[name]) if name in given else None
        axes.append(Axis(name, distribution, place))
    return Cube(tuple(axes))


def _wider(one: BaseDistribution, other: BaseDistribution) -> BaseDistribution:
    if isinstance(one, IntDistribution) and isinstance(other, IntDistribution):
        low, high = min(one.low, other.low), max(one.high, other.high)
        return IntDistribution(low, high, log=other.log, step=other.step)
    if isinstance(one, FloatDistribution) and isinstance(other, FloatDistribution):
        low_float, high_float = min(one.low, other.low), max(one.high, other.high)
        return FloatDistribution(low_float, high_float, log=other.log, step=other.step)
    return other if not isinstance(other, CategoricalDistribution) else one


def _warm(cube: Cube, entries: Sequence[Mapping[str, Any]]) -> Evidence:
    """What earlier studies thought of their configs, by rank."""
    chosen = sorted(entries, key=lambda entry: float(entry["quantile"]))[:_WARM_POINTS]
    ranks = np.array([float(entry["quantile"]) for entry in chosen])
    points = cube.points([entry["params"] for entry in chosen])
    count = len(chosen)
    worth = np.asarray(ndtri(np.clip(1 - ranks, 0.02, 0.98)))
    return Evidence(points, worth, np.ones(count, dtype=bool), np.full(count, _WARM_NOISE))
