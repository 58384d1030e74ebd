from __future__ import annotations

import warnings

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tao_automl.errors import SkillError
from tao_automl.search.parameter import Bounds
from tao_automl.search.rules import Rule, bounds, of_field, order, read
from tao_automl.tao.condition import Condition, parse
from tao_automl.tao.facts import SearchFacts
from tao_automl.tao.field import Field


def test_the_number_of_scored_boxes_follows_the_queries(detr, why_kept):
    space = detr.space()
    assert "follows model.num_select <= model.num_queries" in why_kept(space)["model.num_select"]
    assert space.decode({**space.centre(), "model.num_queries": 150})["model.num_select"] == 150
    assert space.decode(space.centre())["model.num_select"] == 300


def test_rules_hold_in_every_trial(detr, study_of):
    space = detr.space("model.num_select=100..1000", "dataset.workers", dataset__augmentation__fixed_random_crop=None)
    study = study_of()
    low, high = "dataset.augmentation.train_random_crop_min", "dataset.augmentation.train_random_crop_max"
    for _ in range(60):
        trial = study.ask()
        values = space.suggest(trial)
        assert values["model.num_select"] <= values["model.num_queries"]
        assert values[low] < values[high] <= 1333
        assert values[low] <= 400
        assert space.decode(trial.params) == values
        study.tell(trial, 0.0)


def test_a_kept_parent_is_the_lower_end_of_its_dependent(detr, study_of):
    space = detr.space(
        keep={"dataset.augmentation.train_random_crop_min": "kept by --keep"},
        dataset__augmentation__fixed_random_crop=None,
    )
    study = study_of()
    for _ in range(30):
        assert space.suggest(study.ask())["dataset.augmentation.train_random_crop_max"] > 384


def test_a_rule_repairs_launched_values_that_nobody_searches(detr):
    space = detr.space(keep={"model.num_queries": "kept by --keep"}, model__num_queries=100)
    assert space.decode(space.centre())["model.num_select"] == 100


def test_rules_in_a_circle_are_an_error_of_the_skill(detr):
    facts = SearchFacts(rules=("model.enc_layers <= model.dec_layers", "model.dec_layers <= model.enc_layers"))
    with pytest.raises(SkillError, match="circle"):
        detr.space(facts=facts)


@pytest.mark.parametrize("rule", ["model.enc_layers", "model.enc_layers <= model.dec_layer", "a b <= c"])
def test_rules_that_cannot_be_read_are_an_error_of_the_skill(detr, rule):
    with pytest.raises(SkillError, match=r"automl\.yaml"):
        detr.space(facts=SearchFacts(rules=(rule,)))


def test_a_share_of_a_parent_has_no_dimension_of_its_own(build):
    space = build(
        {
            "train.epoch": {"type": "int", "default": 8, "minimum": 1, "maximum": 20, "automl_enabled": True},
            "train.warm_up": {
                "type": "int",
                "default": 4,
                "math_cond": "/ 2",
                "depends_on": "train.epoch",
                "automl_enabled": True,
            },
        }
    )
    assert [parameter.path for parameter in space.parameters] == ["train.epoch"]
    assert space.decode({"train.epoch": 7})["train.warm_up"] == 3


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    queries=st.integers(1, 2000),
    select=st.integers(1, 2000),
    crop=st.integers(1, 1400),
    gap=st.integers(-300, 900),
    seed=st.integers(0, 3),
)
def test_no_trial_breaks_a_rule_whatever_is_launched(detr, queries, select, crop, gap, seed, study_of):
    space = detr.space(
        "model.num_select",
        model__num_queries=queries,
        model__num_select=select,
        dataset__augmentation__fixed_random_crop=None,
        dataset__augmentation__train_random_crop_min=crop,
        dataset__augmentation__train_random_crop_max=max(1, crop + gap),
    )
    study = study_of(seed)
    study.enqueue_trial(space.centre())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(4):
            trial = study.ask()
            values = space.suggest(trial)
            get = {**space.given, **values}.get
            assert [rule.text for rule in space.rules if not rule.holds(get(rule.left), get)] == []
            assert values == space.decode(trial.params)
            study.tell(trial, 0.0)


# ---- one rule


def test_a_rule_is_read_with_a_path_or_a_number_on_its_right(detr):
    below, above = read(["model.num_select<=model.num_queries", "model.enc_layers > 2"], detr.schema)
    assert (below.left, below.op, below.right) == ("model.num_select", "<=", "model.num_queries")
    assert (above.right, above.text) == (2.0, "model.enc_layers > 2")


def test_the_schema_states_rules_about_a_field_with_one_parent():
    above = Field("m.max", "int", conditions=(Condition(">", None),), depends_on=("m.min",))
    assert [rule.text for rule in of_field(above)] == ["m.max > m.min"]
    share = Field("m.half", "int", conditions=parse("/ 2"), depends_on=("m.all",))
    assert [rule.text for rule in of_field(share)] == ["m.half = m.all // 2"]
    assert of_field(Field("m.x", "int", conditions=(Condition(">", None),), depends_on=("m.a", "m.b"))) == ()


def test_every_element_of_a_list_counts():
    rule = Rule("a", "<", "b", "automl.yaml")
    assert rule.holds(4, {"b": [9, 5, None]}.get)
    assert not rule.holds(5, {"b": [9, 5]}.get)
    assert rule.obeyed(7, {"b": [9, 5]}.get) == 4


@pytest.mark.parametrize("limit", [None, "???", True, [], float("nan")])
def test_without_a_number_to_compare_with_every_value_obeys(limit):
    rule = Rule("a", "<", "b", "automl.yaml")
    assert rule.holds(5, {"b": limit}.get)
    assert rule.obeyed(5, {"b": limit}.get) == 5
    assert bounds([rule], whole=True, get={"b": limit}.get) == Bounds()


_NUMBERS = st.one_of(st.integers(-(10**6), 10**6), st.floats(-1e6, 1e6))


@given(value=_NUMBERS, limit=_NUMBERS, op=st.sampled_from(["<", "<=", ">", ">="]))
def test_the_repaired_value_obeys_and_an_obeying_one_is_left_alone(value, limit, op):
    rule = Rule("a", op, "b", "automl.yaml")
    get = {"b": limit}.get
    repaired = rule.obeyed(value, get)
    assert rule.holds(repaired, get)
    assert type(repaired) is type(value)
    assert repaired == value or not rule.holds(value, get)


@given(
    limits=st.lists(st.tuples(st.sampled_from(["<", "<=", ">", ">="]), _NUMBERS), max_size=4),
    value=st.integers(-(10**6), 10**6),
)
def test_the_bounds_hold_just_the_values_that_obey_every_rule(limits, value):
    stated = [Rule("a", op, limit, "automl.yaml") for op, limit in limits]
    found = bounds(stated, whole=True, get={}.get)
    inside = (found.lower is None or value >= found.lower) and (found.upper is None or value <= found.upper)
    assert inside is all(rule.holds(value, {}.get) for rule in stated)


@given(st.dictionaries(st.integers(0, 20), st.frozensets(st.integers(0, 20)), max_size=12))
def test_every_path_comes_once_and_after_its_parents(edges):
    parents = {f"p{child}": [f"p{other}" for other in above if other < child] for child, above in edges.items()}
    found = order(["p5"], parents)
    assert len(set(found)) == len(found)
    assert {"p5", *parents} <= set(found)
    for child, above in parents.items():
        assert all(found.index(other) < found.index(child) for other in above)
