from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tao_automl.search.activity import Activity
from tao_automl.search.parameter import Encoding
from tao_automl.tao.facts import ActiveFact


def test_setting_the_optimizer_makes_its_momentum_live(detr, by_path):
    space = detr.space(train__optim__optimizer="SGD")
    momentum = by_path(space)["train.optim.momentum"]
    assert momentum.encoding is Encoding.COMPLEMENT
    assert (round(momentum.low, 6), round(momentum.high, 6)) == (0.8, 0.99)
    assert space.decode(space.centre())["train.optim.momentum"] == 0.9


def test_a_condition_on_a_searched_value_makes_the_parameter_conditional(detr, by_path, study_of):
    space = detr.space("train.optim.optimizer=AdamW,SGD")
    assert [item.text for item in by_path(space)["train.optim.momentum"].active] == ["train.optim.optimizer is SGD"]
    assert "train.optim.momentum@log10(1-x)" not in space.centre()
    study = study_of()
    seen = set()
    for _ in range(20):
        values = space.suggest(study.ask())
        seen.add(values["train.optim.optimizer"])
        assert ("train.optim.momentum" in values) == (values["train.optim.optimizer"] == "SGD")
    assert seen == {"AdamW", "SGD"}


def test_a_parameter_that_no_searched_value_can_switch_on_is_kept(detr, by_path, why_kept):
    space = detr.space("train.optim.lr_step_size=2..8", train__optim__lr_scheduler="StepLR")
    assert "train.optim.lr_decay" in by_path(space)
    fixed = detr.space("model.dropout_ratio", train__optim__lr_scheduler="MultiStep")
    assert "train.optim.lr_decay" in why_kept(fixed)


# ---- one condition

_SPEC = {"optimizer": "SGD", "backbone": "vit_large", "steps": [11, 30], "epochs": 20, "crop": None, "ema": False}


@pytest.mark.parametrize(
    ("wanted", "holds"),
    [
        ({"optimizer": "SGD"}, True),
        ({"optimizer": "AdamW"}, False),
        ({"optimizer": "SGD", "ema": True}, False),
        ({"backbone": "vit*"}, True),
        ({"epochs": "swin*"}, False),
        ({"crop": None}, True),
        ({"ema": False}, True),
        ({"ema": 0}, False),
        ({"epochs": "< 20"}, False),
        ({"epochs": "<=20"}, True),
        ({"epochs": "> crop"}, False),
        ({"steps": "< epochs"}, True),
        ({"steps": "> 30"}, False),
        ({"absent": "SGD"}, False),
    ],
)
def test_a_condition_is_compared_with_the_spec(wanted, holds):
    assert Activity(ActiveFact("x", when=(wanted,))).holds(_SPEC.get) is holds
    assert Activity(ActiveFact("x", unless=(wanted,))).holds(_SPEC.get) is not holds


def test_any_mapping_of_when_is_enough():
    activity = Activity(ActiveFact("x", when=({"optimizer": "AdamW"}, {"epochs": "> 5"})))
    assert activity.text == "optimizer is AdamW or epochs is above 5"
    assert activity.holds(_SPEC.get)


def test_the_keys_are_both_sides_of_a_comparison():
    activity = Activity(ActiveFact("x", when=({"steps": "< epochs"},), unless=({"crop": "> 3"},)))
    assert list(activity.keys()) == ["steps", "epochs", "crop"]


@pytest.mark.parametrize(
    ("fact", "reason", "tip"),
    [
        (ActiveFact("x", when=({"ema": True},)), "no effect: ema is false", "add --set ema=true"),
        (
            ActiveFact("x", when=({"epochs": "> 50.5"},)),
            "no effect: epochs is 20, not above 50.5",
            "set epochs above 50.5 with --set epochs=…",
        ),
        (
            ActiveFact("x", when=({"optimizer": "AdamW", "ema": True}, {"backbone": "swin*"})),
            "no effect: backbone is vit_large",
            "set it to one that begins with swin: --set backbone=swin…",
        ),
        (
            ActiveFact("x", unless=({"backbone": "vit*"},)),
            "no effect: backbone is vit_large",
            "it matters unless backbone begins with vit",
        ),
    ],
)
def test_the_reason_and_the_tip_speak_of_the_mapping_that_comes_nearest(fact, reason, tip):
    assert Activity(fact).reason(_SPEC.get) == reason
    assert Activity(fact).tip(_SPEC.get) == tip


_KEYS = st.sampled_from(sorted(_SPEC))
_WANTED = st.sampled_from(["SGD", "vit*", "< epochs", ">= 20", None, True, False, 20])
_ENTRIES = st.lists(st.dictionaries(_KEYS, _WANTED, min_size=1, max_size=3), max_size=2).map(tuple)


@given(when=_ENTRIES, unless=_ENTRIES, free=st.frozensets(_KEYS))
def test_what_holds_is_possible_and_what_nothing_can_change_holds_or_not(when, unless, free):
    activity = Activity(ActiveFact("x", when, unless))
    holds = activity.holds(_SPEC.get)
    assert activity.possible(_SPEC.get, frozenset()) is holds
    assert activity.possible(_SPEC.get, free) or not holds
