"""Where a search starts: centres moved from, or to, the best config of a problem. The ranges stay."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from benchmarks.search.problems.problem import Problem, Values, draw, stream
from benchmarks.search.problems.unit import nearby
from tao_automl.search.parameter import Parameter
from tao_automl.search.space import SearchSpace

_NEAR = 0.05  # of a range: what a good prior misses the best config by, one standard deviation


def recentred(space: SearchSpace, values: Values) -> SearchSpace:
    """The same ranges around another centre."""

    def moved(parameter: Parameter) -> Parameter:
        return replace(parameter, default=values.get(parameter.path, parameter.default))

    return replace(space, parameters=tuple(moved(parameter) for parameter in space.parameters))


def _none(problem: Problem) -> Callable[[int], Values]:
    return lambda seed: draw(problem.space, stream("centre", problem.name, seed))


def _good(problem: Problem) -> Callable[[int], Values]:
    assert problem.best is not None, f"the best config of {problem.name} is not known"
    best = recentred(problem.space, problem.best)
    return lambda seed: nearby(best, _NEAR, stream("good", problem.name, seed))


def _off(problem: Problem) -> Callable[[int], Values]:
    assert problem.best is not None, f"the best config of {problem.name} is not known"
    launched = problem.space.decode(problem.space.centre())
    shifted: dict[str, Any] = dict(launched)
    for parameter in problem.space.parameters:
        if parameter.log and parameter.path.endswith("lr"):
            assert parameter.low is not None
            assert parameter.high is not None
            low, high = problem.best[parameter.path] / 10, problem.best[parameter.path] * 10
            shifted[parameter.path] = low if low >= parameter.low or high > parameter.high else high
            shifted[parameter.path] = min(max(shifted[parameter.path], parameter.low), parameter.high)
    return lambda _seed: shifted


CENTRES: Mapping[str, Callable[[Problem], Callable[[int], Values]]] = {"none": _none, "good": _good, "off": _off}
