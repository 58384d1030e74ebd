"""Learning rates by epoch, in a training of another length."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tao_automl.tao import lrschedule
from tao_automl.tao.facts import Keys

KEYS = Keys(epochs="train.num_epochs", validation_interval="train.validate", checkpoint_interval="train.save")


def spec(**optim: object) -> dict:
    return {"train": {"num_epochs": 100, "validate": 5, "save": 10, "optim": optim}}


@pytest.mark.parametrize(
    ("optim", "expected"),
    [
        ({"lr_scheduler": "MultiStep", "lr_steps": [11]}, True),
        ({"lr_scheduler": "StepLR"}, True),
        ({"lr_scheduler": "AutoReduce"}, True),
        ({"policy": "cosine", "warmup_epochs": 2}, False),
        ({"policy": "linear"}, False),
        ({"lr_scheduler": "OneCycle"}, False),
        ({"lr_steps": [40, 70]}, True),
        ({"lr": 1e-4}, False),
    ],
)
def test_a_schedule_that_ignores_the_length_of_the_training_is_told_from_one_that_does_not(optim, expected):
    assert lrschedule.is_open_ended(spec(**optim)) is expected


def test_one_option_of_a_search_that_depends_on_the_length_is_enough():
    launched = spec(lr_scheduler="MultiStep", lr_steps=[11])
    assert lrschedule.is_open_ended(launched, {"train.optim.lr_scheduler": ("MultiStep", "StepLR")})
    assert not lrschedule.is_open_ended(launched, {"train.optim.lr_scheduler": ("MultiStep", "cosine")})


def test_milestones_steps_and_warm_up_keep_their_fractions():
    launched = spec(lr_steps=[40, 80], lr_step_size=30, warmup_epochs=10, lr=1e-3)
    assert lrschedule.rescaled(launched, 100, 10) == {
        "train.optim.lr_steps": [4, 8],
        "train.optim.lr_step_size": 3,
        "train.optim.warmup_epochs": 1,
    }
    assert lrschedule.rescaled(launched, 100, 100) == {}


def test_nothing_becomes_shorter_than_an_epoch_and_milestones_that_meet_are_one():
    found = lrschedule.rescaled(spec(lr_steps=[40, 80], warmup_epochs=1), 100, 1)
    assert found == {"train.optim.lr_steps": [1]}


def test_what_goes_on_with_a_fresh_optimizer_is_warm_and_has_the_milestones_that_are_left():
    launched = spec(lr_steps=[40, 80], warmup_epochs=10)
    assert lrschedule.continued(launched, 50) == {"train.optim.lr_steps": [30], "train.optim.warmup_epochs": 0}
    assert lrschedule.continued(launched, 90)["train.optim.lr_steps"] == [81], "none is left"


@given(st.integers(1, 200), st.integers(1, 30), st.integers(1, 30))
def test_the_last_epoch_of_any_length_is_validated_and_saved(epochs, validate, save):
    launched = {"train": {"num_epochs": 100, "validate": validate, "save": save}}
    found = {"train.validate": validate, "train.save": save, **lrschedule.intervals(KEYS, launched, epochs)}
    assert epochs % found["train.validate"] == 0
    assert found["train.validate"] % found["train.save"] == 0
    assert found["train.validate"] <= max(validate, 1)


def test_a_model_without_intervals_keeps_its_own():
    assert lrschedule.intervals(Keys(epochs="train.num_epochs"), spec(), 3) == {}
