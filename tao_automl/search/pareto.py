"""Of several objectives: which points no other one beats in all of them."""

from __future__ import annotations

from collections.abc import Sequence


def front(points: Sequence[Sequence[float]], maximize: Sequence[bool]) -> list[int]:
    """Places of the points that are in the Pareto set, in order. Equal points are in it together.

    Args:
        points: the values of each; all have as many as `maximize`, and all are finite.
        maximize: for each objective, whether larger is better.
    """
    losses = [tuple(-value if up else value for value, up in zip(point, maximize, strict=True)) for point in points]
    return [
        place
        for place, loss in enumerate(losses)
        if not any(other != loss and _covers(other, loss) for other in losses)
    ]


def _covers(one: Sequence[float], other: Sequence[float]) -> bool:
    """At least as good in every objective."""
    return all(a <= b for a, b in zip(one, other, strict=True))
