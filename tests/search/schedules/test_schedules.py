"""The contract of schedules over every file of their folder, and what each of them is."""

from __future__ import annotations

import pytest

from tao_automl.search import algorithms, rungs
from tao_automl.search.rungs import Terms
from tao_automl.search.schedules import hyperband, pbt
from tests.contracts.schedule_contract import ScheduleContract


class TestSchedules(ScheduleContract):
    @pytest.fixture(params=algorithms.schedule_names())
    def name(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)


@pytest.mark.parametrize(
    ("epochs", "least", "expected"),
    [(27, 1, (1, 3, 9, 27)), (10, 1, (1, 3, 10)), (12, 1, (1, 3, 12)), (100, 4, (4, 12, 36, 100)), (1, 1, (1,))],
)
def test_rungs_grow_by_the_reduction_factor_and_end_with_a_full_training(epochs, least, expected):
    assert rungs.rungs(Terms(configs=9, epochs=epochs, min_epochs=least)) == expected


def test_brackets_are_those_of_the_paper():
    """Table 1 of Li et al. 2018: R 81, eta 3; trial 0 comes before them."""
    found = hyperband.brackets(Terms(configs=1 + 81 + 34 + 15 + 8 + 5, epochs=81, min_epochs=1))
    assert [(item.size, item.steps[0]) for item in found] == [(81, 1), (34, 3), (15, 9), (8, 27), (5, 81)]


def test_generations_of_pbt_end_every_interval():
    assert pbt.ends(Terms(configs=4, epochs=10, interval=3)) == (3, 6, 10)
    assert pbt.ends(Terms(configs=4, epochs=9, interval=5)) == (5, 9)
    assert pbt.ends(Terms(configs=4, epochs=10, interval=2)) == (2, 4, 6, 8, 10)
