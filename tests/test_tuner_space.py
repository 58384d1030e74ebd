"""A run in which the space has a say: named points, and a range that is widened on the way."""

from __future__ import annotations

from pathlib import Path

from tao_automl.search import attributes
from tests.fakes.cluster import Script
from tests.fakes.tiny import Bench, plan

LR = "train.optim.lr"
PILED = [1e-4, 5e-5, 8e-4, 9e-4, 1e-3]


def test_where_the_best_trials_lie_at_the_end_of_a_range_it_is_widened_once(tmp_path: Path) -> None:
    points = [f"{LR}={rate:g}" for rate in PILED]
    asked = plan(tmp_path, trials=9, parallel=1, pruner="none", point=points)
    made = Bench(asked, lambda trial, _attempt: Script([0.0, 0.1 * trial, 0.0]))
    made.ticks(10)
    made.new_driver()
    made.run()
    assert [round(trial.params[LR], 6) for trial in made.trials[:6]] == [2e-4, *PILED]
    (event,) = made.events("range_widened")
    assert (event["path"], event["side"], event["trials"]) == (LR, "high", 6)
    assert made.study.user_attrs[attributes.WIDENED][0]["to"] == event["to"] > 1e-3
    assert [trial.distributions[LR].high for trial in made.trials[6:]] == [event["to"]] * 3
    assert made.states == ["COMPLETE"] * 9
