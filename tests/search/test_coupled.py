"""A learning rate that is searched as a share of the one beside it."""

from __future__ import annotations

import optuna
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tao_automl.errors import UsageError
from tao_automl.search import points
from tao_automl.search.overrides import Range, parse_range

LR, BACKBONE = "train.optim.lr", "train.optim.lr_backbone"
COUPLED = f"{BACKBONE}=0.01..1:ratio"


def test_a_ratio_is_read_as_text_and_as_a_mapping() -> None:
    wanted = Range(0.01, 1, log=True, ratio=True)
    assert parse_range("k", "0.01..1:ratio") == parse_range("k", {"low": 0.01, "high": 1, "ratio": True}) == wanted
    assert str(wanted) == "0.01..1:ratio"


def test_the_share_is_what_optuna_sees_and_the_product_what_is_launched(detr, by_path) -> None:
    space = detr.space(COUPLED)
    backbone = by_path(space)[BACKBONE]
    assert (backbone.low, backbone.high, backbone.default) == (1e-7, 1e-3, 2e-5)
    assert space.centre()[f"{BACKBONE}@ratio"] == pytest.approx(0.1)
    values = space.decode(space.centre() | {LR: 4e-4, f"{BACKBONE}@ratio": 0.5})
    assert (values[LR], values[BACKBONE]) == (4e-4, 2e-4)
    assert space.fingerprint() != detr.space().fingerprint()


def test_trial_zero_is_as_launched_or_as_near_as_the_range_allows(detr, by_path) -> None:
    space = detr.space(COUPLED, train__optim__lr=3e-4, train__optim__lr_backbone=7e-5)
    assert space.decode(space.centre())[BACKBONE] == 7e-5
    above = detr.space(f"{BACKBONE}=0.2..1:ratio")
    assert above.decode(above.centre())[BACKBONE] == pytest.approx(4e-5)
    assert "trial 0 takes 0.2 of it" in by_path(above)[BACKBONE].why


def test_the_main_rate_may_have_a_range_of_its_own(detr) -> None:
    space = detr.space(COUPLED, f"{LR}=1e-4..3e-4:log")
    assert points.encode(space, {LR: 3e-4, BACKBONE: 3e-4})[f"{BACKBONE}@ratio"] == 1.0
    with pytest.raises(UsageError, match=r"lies outside its range 3e-06..0.0003"):
        points.encode(space, {LR: 3e-4, BACKBONE: 4e-4})


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.floats(1e-6, 1e-1), st.floats(1e-3, 1.0), st.integers(0, 1000))
def test_the_share_is_undone_exactly_and_never_above_the_main_rate(detr, rate, share, seed) -> None:
    launched = {"train__optim__lr": rate, "train__optim__lr_backbone": rate * share}
    space = detr.space(f"{BACKBONE}=1e-3..1:ratio", **launched)
    assert space.decode(space.centre())[BACKBONE] == rate * share
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed)).ask()
    values = space.suggest(trial)
    assert 0 < values[BACKBONE] <= values[LR] * (1 + 1e-9)
    again = points.encode(space, {LR: values[LR], BACKBONE: values[BACKBONE]})
    assert again[f"{BACKBONE}@ratio"] == pytest.approx(trial.params[f"{BACKBONE}@ratio"], rel=1e-9)


@pytest.mark.parametrize(
    ("search", "says"),
    [
        (f"{LR}=0.1..1:ratio", "no share of a learning rate"),
        ("train.optim.weight_decay=0.1..1:ratio", "no share of a learning rate"),
        (f"{BACKBONE}=0.1..2:ratio", "cannot be more than train.optim.lr"),
        (f"{BACKBONE}=0..1:ratio", "above 0"),
        (f"{BACKBONE}=1..0.1:ratio", "low end"),
    ],
)
def test_what_is_no_share_is_refused(detr, search, says) -> None:
    with pytest.raises(UsageError) as raised:
        detr.space(search)
    assert says in raised.value.message


def test_without_a_searched_main_rate_there_is_nothing_to_share(detr) -> None:
    with pytest.raises(UsageError, match="only if both are searched"):
        detr.space(COUPLED, keep={LR: "kept"})
