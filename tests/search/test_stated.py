from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tao_automl.errors import UsageError
from tao_automl.search.overrides import Choices, Range
from tao_automl.search.parameter import Encoding
from tao_automl.search.stated import Stated, stated


def test_a_stated_range_is_taken_on_the_scale_of_its_role(detr, by_path):
    found = by_path(
        detr.space("train.optim.lr=1e-4..3e-4", "dataset.batch_size=2..9", "model.num_queries=100..300:100")
    )
    assert (found["train.optim.lr"].low, found["train.optim.lr"].high) == (1e-4, 3e-4)
    assert found["train.optim.lr"].log
    assert found["train.optim.lr"].origin == "--search"
    assert found["dataset.batch_size"].choices == (2, 4, 8)
    assert found["model.num_queries"].step == 100


def test_a_launched_value_outside_a_stated_range_moves_to_its_end_and_says_so(detr, by_path):
    space = detr.space("train.optim.lr=1e-5..1e-4:log")
    lr = by_path(space)["train.optim.lr"]
    assert lr.default == 1e-4
    assert "trial 0 takes 0.0001, the nearest to the launched 0.0002" in lr.why
    assert space.centre()["train.optim.lr"] == 1e-4


def test_stated_choices_keep_their_order_as_numbers_and_put_the_launched_first_as_words(detr, by_path):
    found = by_path(detr.space("model.enc_layers=9,6,3", "model.backbone=resnet_34,resnet_50"))
    assert found["model.enc_layers"].choices == (3, 6, 9)
    assert found["model.enc_layers"].encoding is Encoding.INDEX
    assert found["model.backbone"].choices == ("resnet_50", "resnet_34")


def test_a_switch_has_no_range(build):
    with pytest.raises(UsageError) as raised:
        build({"train.ema.enable": {"type": "bool", "default": False}}, "train.ema.enable=0..1")
    assert "true,false" in raised.value.tip


_RATES = st.lists(st.floats(1e-9, 1), min_size=2, max_size=2, unique=True).map(sorted)


@given(ends=_RATES, launched=st.one_of(st.none(), st.floats(1e-9, 10)), log=st.booleans())
def test_a_stated_range_is_kept_to_its_ends_and_trial_zero_lies_inside(detr, ends, launched, log):
    low, high = ends
    field = detr.schema.field("train.optim.lr")
    rate = stated(detr.schema, field, launched, Stated(Range(low, high, log), "--search"))
    assert (rate.low, rate.high) == (low, high)
    assert low <= rate.default <= high
    if launched is not None:
        assert (rate.default == launched) is (low <= launched <= high)
        assert ("trial 0 takes" in rate.why) is (rate.default != launched)


@given(low=st.integers(1, 400), width=st.integers(1, 400), step=st.integers(1, 50))
def test_a_stated_step_ends_the_range_on_its_grid(detr, low, width, step):
    field = detr.schema.field("model.num_queries")
    queries = stated(detr.schema, field, 300, Stated(Range(low, low + width, step=step), "--search"))
    assert (queries.high - low) % step == 0
    assert low + width - step < queries.high <= low + width
    assert queries.default in range(low, queries.high + 1, step)


def test_a_step_between_whole_numbers_is_refused(detr):
    field = detr.schema.field("model.enc_layers")
    with pytest.raises(UsageError, match=r"its step cannot be 0\.5"):
        stated(detr.schema, field, 6, Stated(Range(3, 9, step=0.5), "--search"))


def test_the_origin_and_the_reason_of_whoever_stated_it_are_kept(detr):
    field = detr.schema.field("train.optim.lr")
    rate = stated(detr.schema, field, 1e-4, Stated(Choices((1e-3, 1e-4)), "automl.yaml", "the vendor's own"))
    assert (rate.origin, rate.why, rate.choices) == ("automl.yaml", "the vendor's own", (1e-4, 1e-3))
