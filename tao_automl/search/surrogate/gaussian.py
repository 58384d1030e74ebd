"""A Gaussian process over points of the unit cube, for few and noisy values.

The function is thought of as a sum: what each axis does by itself, a parabola around the centre (of a set without
order: a level for each choice), which a dozen values can tell of; and a Matern 5/2 function of all axes together,
which takes over with more. So it is a low-order additive model with a residual process (Rasmussen and Williams
2006, section 2.7; Duvenaud et al. 2011). Parabolas are expected to open downwards, by how much is learned: far from
where somebody has launched a training it is rarely better, and the slope at the centre is free to move the top away
from it. Each axis has one length, whose prior grows with the number of axes (Hvarfner et al. 2024, "Vanilla Bayesian
Optimization Performs Great in High Dimensions").

Points may come from another task, an earlier study: how far its function tells of ours is a hyperparameter too
(intrinsic coregionalization, Bonilla et al. 2008), so a study that misleads is soon not believed.
Hyperparameters are the maximum of the posterior, found by L-BFGS.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize

from tao_automl.search.surrogate.axes import Cube, Points

Values = NDArray[np.float64]
Matrix = NDArray[np.float64]

_JITTER = 1e-6
_LEVEL = 1.0  # variance of the constant
_ELSEWHERE = 0.1  # squared distance of another choice of a set from the centre's
# Logarithms of hyperparameters: middle and spread of their priors, for scores of unit spread.
_LENGTH = (0.0, 1.0)  # half the logarithm of the number of axes comes on top
_JOINT = (0.0, 0.7)
_SINGLE = (0.0, 1.0)
_NOISE = (math.log(0.01), 1.0)
_BOWL = (0.0, 0.7)
_KINSHIP = (0.5, 1.5)  # log-odds
_BEYOND = 4.0  # spreads: hyperparameters stay within


@dataclass(frozen=True)
class Evidence:
    """Scores at points. `foreign` rows are of another task; `noise` is relative to that of a score of ours."""

    points: Points
    scores: Values
    foreign: NDArray[np.bool_]
    noise: Values

    @classmethod
    def of(cls, points: Points, scores: Values) -> Evidence:
        """Scores of our own task."""
        return cls(points, scores, np.zeros(len(scores), dtype=bool), np.ones(len(scores)))

    def joined(self, other: Evidence) -> Evidence:
        """Both."""
        return Evidence(
            np.vstack([self.points, other.points]),
            np.concatenate([self.scores, other.scores]),
            np.concatenate([self.foreign, other.foreign]),
            np.concatenate([self.noise, other.noise]),
        )

    def only(self, rows: NDArray[np.intp]) -> Evidence:
        """Some of it."""
        return Evidence(self.points[rows], self.scores[rows], self.foreign[rows], self.noise[rows])


@dataclass(frozen=True)
class _Pair:
    """What the covariance of two lots of points is made of."""

    left: Matrix
    right: Matrix
    alike: tuple[NDArray[np.bool_], ...]

    @classmethod
    def of(cls, cube: Cube, left: Points, right: Points) -> _Pair:
        numbers, centre = ~cube.sets, cube.centre()[~cube.sets]
        alike = tuple(left[:, i][:, None] == right[:, i][None] for i in np.flatnonzero(cube.sets))
        return cls(left[:, numbers] - centre, right[:, numbers] - centre, alike)

    def apart(self, numbers: Values, sets: Values) -> Matrix:
        """Squared distances, by the inverse lengths of the axes."""
        a, b = self.left * numbers, self.right * numbers
        out = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1)[None] - 2 * (a @ b.T)
        for alike, inverse in zip(self.alike, sets, strict=True):
            out += inverse * inverse * ~alike
        return np.asarray(np.maximum(out, 0.0))

    def singles(self, numbers: Values, sets: Values) -> Matrix:
        """Covariance of what the axes do by themselves."""
        a, b = self.left * numbers, self.right * numbers
        out = a @ b.T + (a * a) @ (b * b).T
        for alike, inverse in zip(self.alike, sets, strict=True):
            out += inverse * inverse * alike
        return np.asarray(out)


def _squares(cube: Cube, points: Points) -> Matrix:
    """How far each axis is from the centre, squared; another choice of a set is as far as a third of an axis."""
    out = np.square(points - cube.centre())
    out[:, cube.sets] = _ELSEWHERE * (points[:, cube.sets] != cube.centre()[cube.sets])
    return np.asarray(out)


@dataclass(frozen=True)
class Covariance:
    """Hyperparameters: inverse lengths of the axes, variances, the depth of the expected parabolas, and the
    correlation of the other task with ours.
    """

    cube: Cube
    inverse: Values
    joint: float
    single: float
    noise: float
    bowl: float
    kinship: float

    def expected(self, points: Points) -> Values:
        """The mean before anything was seen."""
        return np.asarray(-self.bowl * (_squares(self.cube, points) @ np.square(self.inverse)))

    def between(self, left: Points, right: Points) -> Matrix:
        """Covariance of the function, a row for each of `left`; all of our own task."""
        pair = _Pair.of(self.cube, left, right)
        r = np.sqrt(5 * pair.apart(*self._split))
        out = self.joint * (1 + r + r * r / 3) * np.exp(-r) + self.single * pair.singles(*self._split)
        return np.asarray(out + _LEVEL)

    def variance(self, points: Points) -> Values:
        """The diagonal of `between(points, points)`."""
        numbers, sets = self._split
        a = np.square((points - self.cube.centre())[:, ~self.cube.sets] * numbers)
        own = a.sum(axis=1) + (a * a).sum(axis=1) + np.square(sets).sum()
        return np.asarray(self.joint + self.single * own + _LEVEL)

    @property
    def _split(self) -> tuple[Values, Values]:
        return self.inverse[~self.cube.sets], self.inverse[self.cube.sets]


@dataclass(frozen=True)
class Gaussian:
    """The process after what has been seen."""

    covariance: Covariance
    evidence: Evidence
    factor: Matrix
    weights: Values

    def predict(self, points: Points) -> tuple[Values, Values]:
        """Mean and standard deviation of our function (without noise) at each row."""
        cross = self.covariance.between(self.evidence.points, points)
        cross[self.evidence.foreign] = self.covariance.kinship * (cross[self.evidence.foreign] - _LEVEL)
        reduced = solve_triangular(self.factor, cross, lower=True, check_finite=False)
        left = self.covariance.variance(points) - np.einsum("ij,ij->j", reduced, reduced)
        return self.covariance.expected(points) + cross.T @ self.weights, np.sqrt(np.maximum(left, 1e-10))


def condition(known: Covariance, evidence: Evidence) -> Gaussian:
    """The process with these hyperparameters, after the evidence."""
    matrix = known.between(evidence.points, evidence.points)
    mixed = evidence.foreign[:, None] != evidence.foreign[None]
    matrix = np.where(mixed, known.kinship * (matrix - _LEVEL), matrix)
    matrix[np.diag_indices_from(matrix)] += known.noise * evidence.noise + _JITTER
    factor = cholesky(matrix, lower=True, check_finite=False)
    rest = evidence.scores - known.expected(evidence.points)
    return Gaussian(known, evidence, factor, cho_solve((factor, True), rest, check_finite=False))


def fit(cube: Cube, evidence: Evidence, steps: int = 20) -> Covariance:
    """The hyperparameters that explain the evidence best, after so many steps of L-BFGS at most from each start.

    The posterior has two modes, often: in one everything is noise, in the other a few axes explain it.
    """
    loss = _Loss(cube, evidence)
    bounds = list(zip(loss.middle - _BEYOND * loss.spread, loss.middle + _BEYOND * loss.spread, strict=True))
    options = {"maxiter": steps, "ftol": 1e-4}
    found = [
        minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
        for start in (loss.middle, loss.sharp)
    ]
    return loss.covariance(np.asarray(min(found, key=lambda each: float(each.fun)).x))


class _Loss:
    """The negative logarithm of the posterior of the hyperparameters, and its gradient."""

    def __init__(self, cube: Cube, evidence: Evidence) -> None:
        axes = len(cube)
        self._cube, self._seen = cube, evidence
        self._pair = _Pair.of(cube, evidence.points, evidence.points)
        self._mixed = evidence.foreign[:, None] != evidence.foreign[None]
        self._eye = np.eye(len(evidence.scores))
        self._away = _squares(cube, evidence.points)
        tail = [_JOINT, _SINGLE, _NOISE, _BOWL, _KINSHIP]
        lengths = (-_LENGTH[0] - 0.5 * math.log(axes), _LENGTH[1])
        self.middle, self.spread = np.array([lengths] * axes + tail).T
        self.sharp = self.middle.copy()  # short lengths and little noise
        self.sharp[:axes] += self.spread[:axes]
        self.sharp[axes + 2] -= self.spread[axes + 2]

    def covariance(self, theta: Values) -> Covariance:
        axes = len(self._cube)
        joint, single, noise, bowl = (float(value) for value in np.exp(theta[axes : axes + 4]))
        return Covariance(self._cube, np.exp(theta[:axes]), joint, single, noise, bowl, _odds(float(theta[-1])))

    def __call__(self, theta: Values) -> tuple[float, Values]:
        known, seen = self.covariance(theta), self._seen
        numbers, sets = known.inverse[~self._cube.sets], known.inverse[self._cube.sets]
        r = np.sqrt(5 * self._pair.apart(numbers, sets))
        decay = np.exp(-r)
        matern = (1 + r + r * r / 3) * decay
        own = self._pair.singles(numbers, sets)
        function = known.joint * matern + known.single * own
        task = np.where(self._mixed, known.kinship, 1.0)
        matrix = task * function + _LEVEL * ~self._mixed
        matrix[np.diag_indices_from(matrix)] += known.noise * seen.noise + _JITTER
        factor = cholesky(matrix, lower=True, check_finite=False)
        expected = -known.bowl * (self._away @ np.square(known.inverse))
        rest = seen.scores - expected
        weights = cho_solve((factor, True), rest, check_finite=False)
        off = (theta - self.middle) / self.spread
        value = 0.5 * rest @ weights + np.log(np.diag(factor)).sum() + 0.5 * off @ off
        every = 0.5 * (cho_solve((factor, True), self._eye, check_finite=False) - np.outer(weights, weights))
        pull = every * task
        gradient = off / self.spread
        axes = len(self._cube)
        gradient[:axes] += self._lengths(known, pull, 5 / 3 * (1 + r) * decay)
        gradient[:axes] += 2 * known.bowl * np.square(known.inverse) * (weights @ self._away)
        gradient[axes] += known.joint * (pull * matern).sum()
        gradient[axes + 1] += known.single * (pull * own).sum()
        gradient[axes + 2] += known.noise * (np.diag(every) * seen.noise).sum()
        gradient[axes + 3] -= weights @ expected
        gradient[axes + 4] += known.kinship * (1 - known.kinship) * (every * function)[self._mixed].sum()
        return float(value), gradient

    def _lengths(self, known: Covariance, pull: Matrix, slope: Matrix) -> Values:
        """The part of the gradient that comes from the axes' inverse lengths (of their logarithms)."""
        inner = known.joint * slope * pull
        square = np.square(known.inverse)
        x = self._pair.left
        xx = x * x
        sets = self._cube.sets
        change = -2 * (inner.sum(axis=1) @ xx - np.einsum("ij,ij->j", x, inner @ x))
        change += 2 * known.single * np.einsum("ij,ij->j", x, pull @ x)
        change += 4 * known.single * square[~sets] * np.einsum("ij,ij->j", xx, pull @ xx)
        out = np.empty(len(square))
        out[~sets] = change
        out[sets] = [2 * known.single * pull[a].sum() - inner[~a].sum() for a in self._pair.alike]
        return np.asarray(out * square)


def _odds(value: float) -> float:
    return 1 / (1 + math.exp(-value))
