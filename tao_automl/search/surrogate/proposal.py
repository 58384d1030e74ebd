"""The next config: near the launched one at first, then where improvement is to be expected.

The first trials after the centre lie around it, spread evenly. From then on the config is taken that promises the
largest improvement on the best one known (the logarithm of the expected improvement, Ament et al. 2023), less where
noise would hide it (augmented expected improvement, Huang et al. 2006), and near the centre rather than far as long as
little is known (prior-weighted acquisition, πBO, Hvarfner et al. 2022). The prior loses its weight with each trial,
and at once where the scores do not fall with the distance from the centre. "Best" means by the model's mean, not by
the luckiest value. Running configs count as if they had returned what is expected of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from tao_automl.search.algorithms import stream
from tao_automl.search.surrogate import candidates, memory
from tao_automl.search.surrogate.axes import Cube, Points
from tao_automl.search.surrogate.gaussian import Evidence, Gaussian, condition, fit
from tao_automl.search.surrogate.history import History
from tao_automl.search.surrogate.memory import Limit
from tao_automl.search.surrogate.outcome import scores
from tao_automl.search.surrogate.penalty import Penalty

Values = NDArray[np.float64]

_DESIGN = -1  # its numbers are no trial's
START = 2  # trials around the centre before the model is asked
_FITTED = 70  # hyperparameters are fitted to so many points, the model keeps
_KEPT = 250  # so many
_PRIOR_SPREAD = 0.3  # of the prior around the centre
_PRIOR_SET = 1.5  # spreads that another choice of a set is away
_PRIOR_TRIALS = 5.0  # after so many trials the prior has half its weight
_CAUTION = 2.0  # a failed trial costs more than its own improvement
_WIDE, _NEAR, _AROUND, _TOP = 200, 100, 60, 4
_ROUNDS = (0.2, 0.1, 0.1, 0.05, 0.03)  # how far refinement goes
_REFINED, _EACH = 8, 16


@dataclass(frozen=True)
class Request:
    """What is asked: a config for trial number `index` of a study that began with `seed`.

    `real` gives the point that a trial would really get (rules and conditions move it). `batch` keeps the
    configs that run at the same time further apart.
    """

    cube: Cube
    history: History
    prior: Evidence
    seed: int
    index: int
    real: Callable[[Points], Points]
    batch: bool = False


def propose(asked: Request) -> Points:
    """A point of the cube. The same request gives the same point."""
    rng = np.random.default_rng(stream(asked.seed, asked.index))
    history = asked.history
    limit = memory.learn(asked.cube, history.points[np.isfinite(history.values)], history.failed)
    started = len(history.values) + len(history.running)
    enough = len(history.values) >= (1 if len(asked.prior.scores) else 2)
    if not enough or (started <= START and not len(asked.prior.scores)):
        return _start(asked, limit, rng)
    return _improve(asked, limit, rng)


def _start(asked: Request, limit: Limit, rng: np.random.Generator) -> Points:
    """A point of the start design that can run and that nobody has tried, or one beside it."""
    design = np.random.default_rng(stream(asked.seed, _DESIGN))
    draw = candidates.near_centre if asked.cube.has_centre else candidates.spread_out
    points = draw(asked.cube, design, max(START, asked.index))
    point = points[(asked.index - 1) % len(points)]
    tries = np.vstack([point, candidates.varied(asked.cube, rng, np.tile(point, (63, 1)), np.full(63, 0.2), 1.5)])
    return _first(asked, limit, np.vstack([tries, candidates.uniform(asked.cube, rng, 64)]))


def _improve(asked: Request, limit: Limit, rng: np.random.Generator) -> Points:
    cube, history = asked.cube, asked.history
    seen = Evidence.of(history.points, scores(history.values))
    own = _subset(replace(seen, noise=history.noise(seen.scores)), _KEPT, rng)
    evidence = own.joined(asked.prior)
    known = fit(cube, _subset(evidence, _FITTED, rng))
    model = condition(known, evidence)
    means, _ = model.predict(own.points)
    order = np.argsort(-means, kind="stable")
    goal = float(means[order[0]])
    penalty = Penalty.of(model, history.running, goal) if asked.batch else None
    if len(history.running):
        believed = Evidence.of(history.running, model.predict(history.running)[0])
        model = condition(known, evidence.joined(believed))
    worth = _Worth(cube, model, limit, goal, _prior_weight(cube, own), penalty)
    return _first(asked, limit, _search(cube, worth, own.points[order[:_TOP]], rng))


@dataclass(frozen=True)
class _Worth:
    """What a config promises; a logarithm."""

    cube: Cube
    model: Gaussian
    limit: Limit
    goal: float
    prior: float
    penalty: Penalty | None

    def __call__(self, points: Points) -> Values:
        mean, spread = self.model.predict(points)
        noise = self.model.covariance.noise
        worth = _log_improvement(mean, spread, self.goal)
        worth += np.log1p(-np.sqrt(noise / (noise + spread * spread)))
        worth += _CAUTION * self.limit.log_fits(points)
        if self.prior:
            worth -= 0.5 * self.prior * _far(self.cube, points)
        if self.penalty:
            worth += self.penalty.log_shares(points)
        return np.asarray(worth)


def _search(cube: Cube, worth: _Worth, top: Points, rng: np.random.Generator) -> Points:
    """Promising points, the best first."""
    base = np.repeat(top, _AROUND, axis=0)
    around = candidates.varied(cube, rng, base, rng.choice([0.05, 0.1, 0.2, 0.4], size=len(base)), 2.0)
    wide, near = candidates.uniform(cube, rng, _WIDE), candidates.near_centre(cube, rng, _NEAR)
    points = np.vstack([wide, near, around])
    found = worth(points)
    for scale in _ROUNDS:
        best = np.argsort(-found, kind="stable")[:_REFINED]
        base = np.repeat(points[best], _EACH, axis=0)
        fresh = candidates.varied(cube, rng, base, np.full(len(base), scale), 1.5)
        points, found = np.vstack([points, fresh]), np.concatenate([found, worth(fresh)])
    return np.asarray(points[np.argsort(-found, kind="stable")])


def _first(asked: Request, limit: Limit, points: Points) -> Points:
    """The first that is new and likely to run, as the trial would really get it; if there is none, the first that is
    new and has not been seen to fail; then one that is new at all.
    """
    taken = {row.tobytes() for row in asked.cube.snapped(asked.history.taken)}
    second: Points | None = None
    third: Points = points[0]
    for lot in np.array_split(points, max(1, len(points) // 16)):
        real = asked.cube.snapped(asked.real(lot))
        new = np.array([row.tobytes() not in taken for row in real])
        good = new & ~limit.risky(real)
        if good.any():
            return np.asarray(real[np.argmax(good)])
        able = new & ~limit.beyond(real)
        if second is None and able.any():
            second = real[np.argmax(able)]
        third = real[np.argmax(new)] if new.any() else third
    return np.asarray(third if second is None else second)


def _log_improvement(mean: Values, spread: Values, goal: float) -> Values:
    z = (mean - goal) / spread
    high = np.maximum(z, -5.0)
    density = np.exp(-0.5 * high * high) / math.sqrt(2 * math.pi)
    low = np.minimum(z, -5.0)
    tail = -0.5 * low * low - 0.5 * math.log(2 * math.pi) - 2 * np.log(-low)
    return np.asarray(np.log(spread) + np.where(z > -5, np.log(density + high * ndtr(high)), tail))


def _far(cube: Cube, points: Points) -> Values:
    """Squared distance from the centre, in spreads of the prior."""
    gaps = (points - cube.centre()) / _PRIOR_SPREAD
    gaps[:, cube.sets] = _PRIOR_SET * (points[:, cube.sets] != cube.centre()[cube.sets])
    return np.asarray((gaps * gaps).sum(axis=1))


def _prior_weight(cube: Cube, own: Evidence) -> float:
    """Between 0 and 1: what the centre still counts for."""
    if not cube.has_centre:
        return 0.0
    count = len(own.scores)
    far = np.sqrt(_far(cube, own.points))
    if np.ptp(own.scores) > 0 and np.ptp(far) > 0:
        agrees = -float(np.corrcoef(far, own.scores)[0, 1])
        if agrees < 0:
            return 0.0
    return _PRIOR_TRIALS / (_PRIOR_TRIALS + count)


def _subset(evidence: Evidence, count: int, rng: np.random.Generator) -> Evidence:
    """At most `count` rows: the better half of them the best, the others drawn."""
    total = len(evidence.scores)
    if total <= count:
        return evidence
    order = np.argsort(-evidence.scores, kind="stable")
    best = order[: count // 2]
    others = rng.choice(order[count // 2 :], size=count - len(best), replace=False)
    return evidence.only(np.sort(np.concatenate([best, others])))
