"""The best and the median config of the real trainings, as far as many tries tell: what `_KNOWN` holds.

python -m benchmarks.search.explore [trained-mlp …]
"""

from __future__ import annotations

import sys

import numpy as np

from benchmarks.search.problems.problem import draw, stream
from benchmarks.search.problems.trained import MODELS, mean, space
from tao_automl.tao.metric import Direction

TRIED = 80


def explore(name: str) -> tuple[float, float]:
    """The best and the median of random configs; the best one is improved by changes of one parameter."""
    searched, pick = space(name), max if MODELS[name].direction is Direction.MAXIMIZE else min
    rng = stream("explore", name)
    tried = [(pick(mean(name, config)), config) for config in (draw(searched, rng) for _ in range(TRIED))]
    median = float(np.median([value for value, _ in tried]))
    found = pick(tried, key=lambda item: item[0])
    for _ in range(TRIED):
        path, value = list(draw(searched, rng).items())[int(rng.integers(len(searched.parameters)))]
        changed = {**found[1], path: value}
        found = pick([found, (pick(mean(name, changed)), changed)], key=lambda item: item[0])
    return found[0], median


if __name__ == "__main__":
    for asked in sys.argv[1:] or MODELS:
        print(asked, *explore(asked))
