"""How long an ask takes in a long study: stored trials without their trainings."""

from __future__ import annotations

import statistics

from benchmarks.search.figures import Figure
from benchmarks.search.methods import Method, timed_ask
from benchmarks.search.problems import build
from benchmarks.search.problems.problem import Problem
from benchmarks.search.score import Estimate

_REPEATS = 9
_LIMITS_S = {200: 0.15, 1000: 0.5}


def figures(method: Method, name: str) -> list[Figure]:
    """The median time of an ask, and its quartiles, with 200 and with 1,000 finished trials."""
    problem = build(name)
    found = []
    for trials, limit_s in _LIMITS_S.items():
        low, median, high = statistics.quantiles(_asks_s(method, problem, trials), n=4)
        label = f"seconds an ask takes at {trials} trials ({name})"
        found.append(Figure(label, f"at most {limit_s:g}", Estimate(median, low, high), median <= limit_s))
    return found


def _asks_s(method: Method, problem: Problem, trials: int) -> list[float]:
    """A session that has seen `trials` configs of a random one."""
    session = method.filled(problem, trials)
    times = []
    for _ in range(_REPEATS):
        begin, ask_s = timed_ask(session)
        assert begin is not None
        times.append(ask_s)
        best = problem.metric.best(dict(enumerate(problem.train(begin.config, begin.number).values)))
        session.tell(begin.number, "complete" if best else "diverged", best)
    return times
