"""Earlier studies: their trials as points of a new space, ranked within their own study."""

from __future__ import annotations

import itertools
from typing import Any

import optuna
import pytest
from optuna.study import StudyDirection
from optuna.trial import TrialState

from tao_automl.search import attributes, transfer
from tao_automl.search.transfer import Earlier


def trial(
    number: int,
    values: dict[str, Any],
    value: float | None,
    state: TrialState = TrialState.COMPLETE,
    points: dict[int, float] | None = None,
    **more: Any,
) -> optuna.trial.FrozenTrial:
    made = optuna.trial.create_trial(
        state=state,
        value=value,
        intermediate_values=points,
        user_attrs={attributes.VALUES: values, **more},
    )
    made.number = number
    return made


def earlier(*trials: optuna.trial.FrozenTrial, epochs: int | None = 10, direction: str = "MAXIMIZE") -> Earlier:
    return Earlier("old", "val_mAP50", StudyDirection[direction], epochs, trials)


LR = "train.optim.lr"
THREE = (trial(0, {LR: 2e-4}, 0.3), trial(1, {LR: 4e-4}, 0.5), trial(2, {LR: 1e-4}, 0.4))


def test_trials_are_ranked_in_their_own_study(space) -> None:
    carried = transfer.carry(earlier(*THREE), space, 10)
    assert [(item["quantile"], item["source"]) for item in carried.entries] == [
        (0.0, "old/1"),
        (0.5, "old/2"),
        (1.0, "old/0"),
    ]
    assert [item["params"][LR] for item in carried.entries] == [4e-4, 1e-4, 2e-4]
    assert (carried.trials, carried.used) == (3, 3)
    down = transfer.carry(earlier(*THREE, direction="MINIMIZE"), space, 10)
    assert [item["source"] for item in down.entries] == ["old/0", "old/2", "old/1"]


def test_pruned_trials_come_after_complete_ones_by_how_far_they_came(space) -> None:
    known = earlier(
        trial(0, {LR: 2e-4}, 0.3),
        trial(1, {LR: 1e-3}, None, TrialState.PRUNED, {0: 0.9}),
        trial(2, {LR: 5e-4}, None, TrialState.PRUNED, {0: 0.1, 3: 0.2}),
        trial(3, {LR: 5e-5}, None, TrialState.FAIL),
        trial(4, {LR: 6e-5}, None, TrialState.PRUNED, {0: 0.1}, **{attributes.INFEASIBLE: True}),
    )
    assert [item["source"] for item in transfer.carry(known, space, 10).entries] == ["old/0", "old/2", "old/1"]


def test_without_a_complete_trial_nothing_says_what_is_good() -> None:
    assert not earlier(trial(1, {LR: 1e-3}, None, TrialState.PRUNED, {0: 0.9})).finished


def test_what_ran_counts_not_what_was_proposed(space) -> None:
    known = earlier(trial(0, {"dataset.batch_size": 16}, 0.3, **{attributes.CHANGED: {"dataset.batch_size": 8}}))
    assert transfer.carry(known, space, 10).entries[0]["params"]["dataset.batch_size@log2"] == 3


def test_values_far_outside_leave_a_trial_out_and_those_near_an_end_are_moved_to_it(space) -> None:
    known = earlier(trial(0, {LR: 1.1e-3}, 0.3), trial(1, {LR: 1e-1}, 0.2), trial(2, {"dataset.batch_size": 64}, 0.1))
    carried = transfer.carry(known, space, 10)
    assert (carried.trials, carried.used) == (3, 1)
    assert carried.entries[0]["params"][LR] == 1e-3


def test_another_grid_takes_the_nearest_value(detr) -> None:
    space = detr.space("model.num_queries=100..900:100")
    carried = transfer.carry(earlier(trial(0, {"model.num_queries": 420}, 0.3)), space, 10)
    assert carried.entries[0]["params"]["model.num_queries"] == 400


def test_epochs_of_a_schedule_keep_their_share_of_the_training(build) -> None:
    leaves = {
        "train.optim.lr": {"type": "float", "default": 2e-4, "automl_enabled": True},
        "train.optim.lr_steps": {"type": "list", "default": [5], "automl_enabled": True},
        "train.warmup_epochs": {"type": "int", "default": 2, "automl_enabled": True},
    }
    space = build(leaves)
    values = {"train.optim.lr_steps": [16], "train.warmup_epochs": 6}
    carried = transfer.carry(earlier(trial(0, values, 0.3), epochs=20), space, 10)
    decoded = space.decode(carried.entries[0]["params"])
    assert (decoded["train.optim.lr_steps"], decoded["train.warmup_epochs"]) == ([8], 3)


def test_a_few_of_the_better_half_are_tried_each_once(space) -> None:
    known = [trial(number, {LR: 1e-4 * (1 + number)}, 1.0 - number / 100) for number in range(8)]
    carried = transfer.carry(earlier(*known), space, 10)
    again = transfer.carry(earlier(*known), space, 10)
    tried = transfer.best([carried, again], [space.centre()], trials=30)
    assert [item["params"][LR] for item in tried] == pytest.approx([1e-4, 3e-4, 4e-4])  # 2e-4 is the centre
    assert len(transfer.best([carried], [], trials=10)) == 1


def test_of_a_large_study_the_ranks_are_thinned_out_evenly(space) -> None:
    known = [trial(number, {LR: 1e-4 + number * 1e-6}, number / 1000) for number in range(500)]
    carried = transfer.carry(earlier(*known), space, 10)
    quantiles = [item["quantile"] for item in carried.entries]
    assert (len(quantiles), quantiles[0], quantiles[-1]) == (100, 0.0, 1.0)
    assert max(b - a for a, b in itertools.pairwise(quantiles)) < 0.02
