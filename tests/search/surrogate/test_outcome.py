"""Values as scores."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tao_automl.search.surrogate.outcome import scores

values = st.lists(st.one_of(st.floats(-1e6, 1e6), st.just(-np.inf)), min_size=1, max_size=40)


@given(values)
def test_a_better_value_never_has_a_worse_score(known: list[float]) -> None:
    found = scores(np.array(known))
    assert np.isfinite(found).all()
    order = np.argsort(known)
    assert (np.diff(found[order]) >= -1e-9).all()


def test_a_cliff_does_not_hide_the_differences_at_its_top() -> None:
    top = np.array([0.650, 0.652, 0.655, 0.660])
    with_cliff = scores(np.concatenate([top, [0.0, -np.inf, 0.001]]))[:4]
    assert np.ptp(with_cliff) > 0.5
    assert with_cliff.max() < 5


def test_values_that_are_alike_have_no_order() -> None:
    assert scores(np.array([0.3, 0.3, 0.3])).tolist() == [0, 0, 0]
    assert scores(np.array([-np.inf, -np.inf])).tolist() == [0, 0]
