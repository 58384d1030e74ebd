from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tao_automl.search.box import Box
from tao_automl.search.roles import Scope, role_of
from tao_automl.search.space import Limits


def test_batch_size_is_capped_by_the_samples_of_a_gpu(detr, by_path):
    def batches(**limits):
        return by_path(detr.space(limits=Limits(epochs=10, **limits)))["dataset.batch_size"].choices

    assert batches(samples=24, gpus=1) == (1, 2, 4, 8, 16)
    assert batches(samples=24, gpus=2) == (1, 2, 4, 8)
    assert batches(samples=7, gpus=0) == (1, 2, 4)


def test_the_launched_value_is_the_centre_of_its_window(detr, by_path):
    lr = by_path(detr.space(train__optim__lr=1e-3))["train.optim.lr"]
    assert (lr.low, lr.high, lr.default) == (5e-5, 5e-3, 1e-3)


def test_a_step_beyond_the_last_epoch_counts_as_the_last_epoch(detr, by_path):
    step = by_path(detr.space(train__optim__lr_scheduler="StepLR"))["train.optim.lr_step_size"]
    assert (step.low, step.high, step.default) == (2, 10, 10)
    assert "launched with 11" in step.why


def test_a_batch_size_between_powers_of_two_is_among_the_choices(detr, by_path):
    space = detr.space(dataset__batch_size=6)
    batch = by_path(space)["dataset.batch_size"]
    assert 6 in batch.choices
    assert batch.name == "dataset.batch_size@index"
    assert space.decode(space.centre())["dataset.batch_size"] == 6


@pytest.mark.parametrize(
    ("path", "whole", "name"),
    [
        ("train.optim.lr", False, "learning rate"),
        ("train.schedulers.last_layer_learning_rate.val_base", False, "learning rate"),
        ("train.schedulers.weight_decay.val_base", False, "weight decay"),
        ("train.optm_weight_decay", False, "weight decay"),
        ("train.optm_grad_norm_clip", False, "gradient clip"),
        ("train.optm_warmup_epochs", True, "epochs of a schedule"),
        ("train.schedulers.learning_rate.warm_up_steps", True, "warm-up iterations"),
        ("train.train_batch_per_replica", True, "batch size"),
        ("train.optim.betas[0]", False, "momentum"),
        ("train.optim.lr_backbone", False, "learning rate"),
        ("train.optim[0].min_lr", False, "learning rate"),
        ("train.optim.lr_decay", False, "decay factor"),
        ("train.optim.layer_decay_rate", False, "layer-wise decay"),
        ("train.optim.weight_decay", False, "weight decay"),
        ("train.optim.weight_decay", True, ""),
        ("train.ema.decay", False, "momentum"),
        ("model.decay", False, ""),
        ("train.warmup_epochs", True, "epochs of a schedule"),
        ("dataset.batch_size", True, "batch size"),
        ("dataset.workers", True, "loader workers"),
        ("model.num_queries", True, "queries"),
        ("model.prob_loss", False, "probability"),
        ("model.problem", False, ""),
        ("model.anything", True, ""),
    ],
)
def test_the_last_part_of_a_path_and_its_type_tell_the_role(path, whole, name):
    assert role_of(path, whole).name == name


@given(centre=st.floats(1e-8, 10))
def test_the_window_of_a_learning_rate_holds_its_centre_on_a_log_scale(centre):
    window = role_of("train.optim.lr", whole=False).shape(centre, Box(False), Scope(epochs=1))
    assert window.log
    assert 0 < window.low <= centre <= window.high


@given(centre=st.integers(1, 4096), largest=st.one_of(st.none(), st.integers(0, 4096)))
def test_the_batches_are_what_the_data_fill_in_order(centre, largest):
    window = role_of("dataset.batch_size", whole=True).shape(centre, Box(True, 1), Scope(1, largest))
    if isinstance(window, str):
        assert "data fill no batch" in window
        return
    assert list(window.options) == sorted(set(window.options))
    assert largest is None or window.options[-1] <= largest
    assert centre in window.options or centre > largest


def test_a_momentum_that_is_no_fraction_has_no_window():
    window = role_of("train.optim.momentum", whole=False).shape(1.0, Box(False), Scope(epochs=1))
    assert window == "its launched value 1 is no fraction below 1"
