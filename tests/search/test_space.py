from __future__ import annotations

import subprocess
import sys
import warnings

import optuna
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from optuna.trial import FixedTrial

from tao_automl.errors import SkillError, UsageError
from tao_automl.search.overrides import Overrides
from tao_automl.search.parameter import Encoding
from tao_automl.search.space import Limits, SearchSpace
from tao_automl.tao.facts import ActiveFact, RangeFact, SearchFacts
from tao_automl.tao.schema import Schema


def study_of(seed: int = 1) -> optuna.Study:
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))


def by_path(space: SearchSpace) -> dict:
    return {parameter.path: parameter for parameter in space.parameters}


def why_kept(space: SearchSpace) -> dict:
    return {entry.path: entry.why for entry in space.kept}


# ---- what a detector's default set becomes


def test_the_template_of_a_detector_leaves_eight_live_dimensions(detr):
    found = by_path(detr.space())
    spans = {path: (p.low, p.high, p.step, p.log) for path, p in found.items() if p.choices is None}
    assert spans == {
        "train.optim.lr": (1e-5, 1e-3, None, True),
        "train.optim.lr_backbone": (1e-6, 1e-4, None, True),
        "train.optim.weight_decay": (1e-6, 1e-2, None, True),
        "model.enc_layers": (3, 9, None, False),
        "model.dec_layers": (3, 9, None, False),
        "model.num_queries": (100, 900, 50, False),
        "dataset.augmentation.horizontal_flip_prob": (0.0, 1.0, None, False),
    }
    assert found["dataset.batch_size"].choices == (1, 2, 4, 8, 16)
    assert len(found) == 8


def test_nothing_of_the_default_set_is_dropped_silently(detr):
    space = detr.space()
    assert set(by_path(space)) | set(why_kept(space)) == set(detr.schema.default_set)
    assert all(why_kept(space).values())


def test_kept_parameters_name_the_value_that_switches_them_off(detr):
    why = why_kept(detr.space())
    assert why["train.optim.momentum"] == "no effect: train.optim.optimizer is AdamW"
    assert why["train.optim.layer_decay_rate"] == "no effect: model.backbone is resnet_50"
    assert why["train.optim.lr_step_size"] == "no effect: train.optim.lr_scheduler is MultiStep"
    assert why["train.optim.lr_decay"] == ("no effect: train.optim.lr_steps is [11], not below train.num_epochs (10)")
    assert why["dataset.augmentation.train_random_crop_min"] == (
        "no effect: dataset.augmentation.fixed_random_crop is 1024"
    )
    assert why["train.optim.lr_linear_proj_mult"] == "the trainer never reads it"
    assert why["dataset.workers"].startswith("speed only")


def test_the_number_of_scored_boxes_follows_the_queries(detr):
    space = detr.space()
    assert "follows model.num_select <= model.num_queries" in why_kept(space)["model.num_select"]
    assert space.decode({**space.centre(), "model.num_queries": 150})["model.num_select"] == 150
    assert space.decode(space.centre())["model.num_select"] == 300


def test_trial_zero_holds_the_launched_values(detr):
    space = detr.space()
    values = space.suggest(FixedTrial(space.centre()))
    for path, parameter in by_path(space).items():
        assert values[path] == parameter.default == detr.leaves[path]["default"]


def test_batch_size_is_capped_by_the_samples_of_a_gpu(detr):
    def batches(**limits):
        return by_path(detr.space(limits=Limits(epochs=10, **limits)))["dataset.batch_size"].choices

    assert batches(samples=24, gpus=1) == (1, 2, 4, 8, 16)
    assert batches(samples=24, gpus=2) == (1, 2, 4, 8)
    assert batches(samples=7, gpus=0) == (1, 2, 4)


def test_a_launched_batch_that_the_data_do_not_fill_is_moved_and_said(detr):
    batch = by_path(detr.space(limits=Limits(epochs=10, samples=3)))["dataset.batch_size"]
    assert (batch.choices, batch.default) == ((1, 2), 2)
    assert "launched 4" in batch.why
    space = detr.space(limits=Limits(epochs=10, samples=1))
    assert "dataset.batch_size" in why_kept(space)


def test_the_launched_value_is_the_centre_of_its_window(detr):
    lr = by_path(detr.space(train__optim__lr=1e-3))["train.optim.lr"]
    assert (lr.low, lr.high, lr.default) == (5e-5, 5e-3, 1e-3)


# ---- what the user says


def test_keep_takes_a_parameter_out_with_its_reason(detr):
    space = detr.space(keep={"train.optim.lr": "kept by --keep"})
    assert why_kept(space)["train.optim.lr"] == "kept by --keep"
    assert "train.optim.lr" not in by_path(space)


def test_keeping_what_is_not_searched_is_fine_and_what_is_unknown_is_not(detr):
    assert "model.backbone" in why_kept(detr.space(keep={"model.backbone": "kept by --keep"}))
    with pytest.raises(UsageError) as raised:
        detr.space(keep={"train.optim.lrr": "kept by --keep"})
    assert "train.optim.lr" in raised.value.tip


def test_search_adds_a_leaf_beyond_the_default_set(detr):
    dropout = by_path(detr.space("model.dropout_ratio"))["model.dropout_ratio"]
    assert (dropout.low, dropout.high, dropout.default) == (0.0, 0.5, 0.0)


def test_a_stated_range_is_taken_on_the_scale_of_its_role(detr):
    found = by_path(
        detr.space("train.optim.lr=1e-4..3e-4", "dataset.batch_size=2..9", "model.num_queries=100..300:100")
    )
    assert (found["train.optim.lr"].low, found["train.optim.lr"].high) == (1e-4, 3e-4)
    assert found["train.optim.lr"].log
    assert found["train.optim.lr"].origin == "--search"
    assert found["dataset.batch_size"].choices == (2, 4, 8)
    assert found["model.num_queries"].step == 100


def test_a_launched_value_outside_a_stated_range_moves_to_its_end_and_says_so(detr):
    space = detr.space("train.optim.lr=1e-5..1e-4:log")
    lr = by_path(space)["train.optim.lr"]
    assert lr.default == 1e-4
    assert "trial 0 takes 0.0001, the nearest to the launched 0.0002" in lr.why
    assert space.centre()["train.optim.lr"] == 1e-4


def test_stated_choices_keep_their_order_as_numbers_and_put_the_launched_first_as_words(detr):
    found = by_path(detr.space("model.enc_layers=9,6,3", "model.backbone=resnet_34,resnet_50"))
    assert found["model.enc_layers"].choices == (3, 6, 9)
    assert found["model.enc_layers"].encoding is Encoding.INDEX
    assert found["model.backbone"].choices == ("resnet_50", "resnet_34")


@pytest.mark.parametrize(
    ("search", "message", "tip"),
    [
        ("train.optim.lrr=1..2", "train.optim.lrr is not in the train schema of detr", "train.optim.lr"),
        ("train.optim", "is a group of keys", "name one of them"),
        ("train.num_epochs", "automl_enabled: false", "--set"),
        ("train.optim.lr=0.5..2", "2 lies outside the bounds of train.optim.lr: above 0, up to 1", "inside"),
        ("train.optim.lr=0..0.1", "0 lies outside the bounds of train.optim.lr: above 0, up to 1", "inside"),
        ("model.num_queries=0..300", "outside the bounds of model.num_queries: 1 or more", "inside"),
        ("model.enc_layers=1.5..3", "model.enc_layers is a whole number", "whole"),
        ("model.enc_layers=a,b", "model.enc_layers takes a whole number", "6"),
        ("model.backbone=1..3", "is a set of options", "--search model.backbone=resnet_34,resnet_50"),
        ("model.backbone=resnet_50,swin", "swin is no option of model.backbone", "resnet_34"),
        (
            "train.optim.momentum",
            "no effect: train.optim.optimizer is AdamW",
            "--set train.optim.optimizer=SGD",
        ),
        ("train.optim.lr_linear_proj_mult", "the trainer never reads it", "leave it out"),
        ("dataset.augmentation.train_random_resize", "automl_enabled: false", "--set"),
        ("train.optim.layer_decay_rate", "model.backbone is resnet_50", "vit"),
        ("train.optim.lr_decay", "lr_steps is [11]", "--set train.optim.lr_steps"),
    ],
)
def test_what_cannot_be_searched_is_refused_with_a_way_out(detr, search, message, tip):
    with pytest.raises(UsageError) as raised:
        detr.space(search)
    assert message in raised.value.message
    assert tip in raised.value.tip


def test_a_batch_range_beyond_the_data_is_refused(detr):
    with pytest.raises(UsageError, match="more than the data fill"):
        detr.space("dataset.batch_size=1..64", limits=Limits(epochs=10, samples=20))


def test_a_switch_has_no_range(build):
    with pytest.raises(UsageError) as raised:
        build({"train.ema.enable": {"type": "bool", "default": False}}, "train.ema.enable=0..1")
    assert "true,false" in raised.value.tip


# ---- conditions


def test_setting_the_optimizer_makes_its_momentum_live(detr):
    space = detr.space(train__optim__optimizer="SGD")
    momentum = by_path(space)["train.optim.momentum"]
    assert momentum.encoding is Encoding.COMPLEMENT
    assert (round(momentum.low, 6), round(momentum.high, 6)) == (0.8, 0.99)
    assert space.decode(space.centre())["train.optim.momentum"] == 0.9


def test_a_condition_on_a_searched_value_makes_the_parameter_conditional(detr):
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


def test_a_parameter_that_no_searched_value_can_switch_on_is_kept(detr):
    space = detr.space("train.optim.lr_step_size=2..8", train__optim__lr_scheduler="StepLR")
    assert "train.optim.lr_decay" in by_path(space)
    fixed = detr.space("model.dropout_ratio", train__optim__lr_scheduler="MultiStep")
    assert "train.optim.lr_decay" in why_kept(fixed)


def test_leaves_beside_a_switch_live_with_it(build):
    leaves = {
        "aug.color.enable": {"type": "bool", "default": False, "automl_enabled": True},
        "aug.color.hue": {
            "type": "float",
            "default": 0.1,
            "minimum": 0.0,
            "maximum": 0.5,
            "automl_enabled": True,
        },
    }
    space = build(leaves)
    assert [item.text for item in by_path(space)["aug.color.hue"].active] == ["aug.color.enable is true"]
    alone = build({**leaves, "aug.color.enable": {"type": "bool", "default": False}})
    assert why_kept(alone) == {"aug.color.hue": "no effect: aug.color.enable is false"}


# ---- rules


def test_rules_hold_in_every_trial(detr):
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


def test_the_crop_is_sampled_as_a_gap_above_its_parent(detr):
    space = detr.space(dataset__augmentation__fixed_random_crop=None)
    crop = by_path(space)["dataset.augmentation.train_random_crop_max"]
    assert (crop.name, crop.gap, crop.step) == ("dataset.augmentation.train_random_crop_max@gap", (8, 600), 8)
    assert space.centre()[crop.name] == 216
    assert space.decode(space.centre())[crop.path] == 600


def test_a_kept_parent_is_the_lower_end_of_its_dependent(detr):
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


# ---- facts of the model


def test_ranges_and_further_keys_of_the_model_are_searched_and_say_where_they_come_from(detr):
    facts = SearchFacts(
        ranges={"train.optim.lr": RangeFact(1e-5, 5e-4, log=True, why="the vendor's own")},
        also=("model.dropout_ratio",),
    )
    found = by_path(detr.space(facts=facts))
    lr = found["train.optim.lr"]
    assert (lr.low, lr.high, lr.origin, lr.why) == (1e-5, 5e-4, "automl.yaml", "the vendor's own")
    assert "model.dropout_ratio" in found
    assert by_path(detr.space("train.optim.lr=1e-4..1e-3", facts=facts))["train.optim.lr"].origin == "--search"


@pytest.mark.parametrize("facts", [SearchFacts(also=("model.nothing",)), SearchFacts(ranges={"x.y": RangeFact(1, 2)})])
def test_facts_about_keys_that_the_schema_does_not_have_are_an_error(detr, facts):
    with pytest.raises(SkillError):
        detr.space(facts=facts)


# ---- odd leaves


def test_leaves_that_cannot_be_searched_are_kept_with_their_reason(build):
    on = {"automl_enabled": True}
    why = why_kept(
        build(
            {
                "m.list": {"type": "list_2", "default": [1, 2], **on},
                "m.free": {"type": "string", "default": "x", **on},
                "m.strange": {"type": "int", "default": 4, "math_cond": "about 3", **on},
                "m.mark": {"type": "int", "default": -1, "minimum": -1, **on},
                "m.pinned": {"type": "float", "default": 2.0, "minimum": 2.0, "maximum": 2.0, **on},
                "m.single": {"type": "categorical", "default": "a", "enum": ["a"], **on},
                "m.null": {"type": "float", "default": None, "minimum": 0.0, "maximum": 1.0, **on},
                "m.open": {"type": "float", "default": 0.0, **on},
                "m.weight_decay": {"type": "float", "default": 0.0, "minimum": 0.0, **on},
                "m.gone": {"type": "int", "minimum": 1, "maximum": 3, **on},
                "m.missing": {"type": "string", "default": "???", **on},
                "dataset.val_dataset.batch_size": {"type": "int", "default": 4, "minimum": 1, **on},
                "distill.alpha": {"type": "float", "default": 0.5, "minimum": 0.0, "maximum": 1.0, **on},
            }
        )
    )
    assert {path: text.split(":")[0] for path, text in why.items()} == {
        "m.list": "it is a list, which is not searched",
        "m.free": "it is text without options to choose from",
        "m.strange": "its math_cond 'about 3' is not understood",
        "m.mark": "its launched value -1 is a mark, not an amount",
        "m.pinned": "its bounds leave one value, 2",
        "m.single": "it has one option, a",
        "m.null": "its launched value is null",
        "m.open": "its launched value is 0 and its bounds are open",
        "m.weight_decay": "its launched value is 0, and a log scale cannot hold that",
        "m.gone": "absent from the launched spec",
        "m.missing": "its launched value is not set yet (???)",
        "dataset.val_dataset.batch_size": "evaluation only",
        "distill.alpha": "it belongs to the distill action",
    }


def test_a_launched_value_beyond_the_schema_widens_the_range_and_says_so(build):
    leaf = {"type": "float", "default": 0.7, "minimum": 0.0, "maximum": 0.5, "automl_enabled": True}
    shear = by_path(build({"aug.shear": leaf}))["aug.shear"]
    assert (shear.low, shear.high, shear.default) == (0.0, 0.7, 0.7)
    assert "widened to the launched 0.7" in shear.why


def test_a_centre_on_an_excluded_end_stays_and_other_ends_stay_open(build):
    def hue(default):
        leaf = {"type": "float", "default": default, "minimum": 0.0, "maximum": 0.5, "math_cond": "> 0.0"}
        return by_path(build({"aug.hue": {**leaf, "automl_enabled": True}}))["aug.hue"]

    assert hue(0.0).low == 0.0
    assert 0 < hue(0.1).low < 0.001


def test_multiples_and_powers_and_excluded_values_keep_their_condition(build):
    on = {"automl_enabled": True}
    found = by_path(
        build(
            {
                "m.hidden_dim": {
                    "type": "int",
                    "default": 256,
                    "minimum": 64,
                    "maximum": 1024,
                    "math_cond": "/ 8",
                    **on,
                },
                "m.rank": {
                    "type": "int",
                    "default": 8,
                    "minimum": 1,
                    "maximum": 256,
                    "math_cond": "^ 2",
                    **on,
                },
                "m.fix": {
                    "type": "int",
                    "default": -1,
                    "minimum": -2,
                    "maximum": 3,
                    "math_cond": "!= 0",
                    **on,
                },
            }
        )
    )
    hidden = found["m.hidden_dim"]
    assert (hidden.low, hidden.high, hidden.step) == (128, 512, 8)
    assert found["m.rank"].choices == (2, 4, 8, 16, 32, 64)
    assert found["m.rank"].name == "m.rank@log2"
    assert found["m.fix"].choices == (-2, -1, 1, 2, 3)


def test_a_step_beyond_the_last_epoch_counts_as_the_last_epoch(detr):
    step = by_path(detr.space(train__optim__lr_scheduler="StepLR"))["train.optim.lr_step_size"]
    assert (step.low, step.high, step.default) == (2, 10, 10)
    assert "launched with 11" in step.why


def test_a_batch_size_between_powers_of_two_is_among_the_choices(detr):
    space = detr.space(dataset__batch_size=6)
    batch = by_path(space)["dataset.batch_size"]
    assert 6 in batch.choices
    assert batch.name == "dataset.batch_size@index"
    assert space.decode(space.centre())["dataset.batch_size"] == 6


# ---- for all fields

_NUMBERS = st.one_of(
    st.integers(-3, 2000),
    st.floats(-10, 1e6, allow_nan=False),
    st.sampled_from([0, 1, -1, 1e-7, 1e-300, 1e18, 10**20]),
)
_NAMES = st.sampled_from(
    [
        "lr",
        "min_lr",
        "weight_decay",
        "momentum",
        "batch_size",
        "enc_layers",
        "num_queries",
        "num_select",
        "lr_step_size",
        "gamma",
        "warmup_iters",
        "hidden_dim",
        "train_max_size",
        "dropout",
        "flip_prob",
        "lr_mult",
        "grad_clip",
        "layer_decay_rate",
        "margin",
        "workers",
        "fps",
    ]
)
_BOUND = st.one_of(st.none(), _NUMBERS, st.just(float("inf")))


@st.composite
def _fields(draw):
    kind = draw(st.sampled_from(["int", "float", "float", "int", "bool", "categorical", "ordered_int", "list_2"]))
    leaf = {"type": kind, "automl_enabled": True}
    if kind in ("int", "float"):
        cast = int if kind == "int" else float
        leaf["default"] = cast(draw(_NUMBERS))
        for end in ("minimum", "maximum"):
            bound = draw(_BOUND)
            if bound is not None:
                leaf[end] = bound if bound == float("inf") else cast(bound)
        condition = draw(st.sampled_from([None, "> 0", "> 0.0", ">= 0", "!= 0", "/ 8", "^ 2", "> 0.0 <= 1.0", "> 0 <"]))
        if condition:
            leaf["math_cond"] = condition
    elif kind == "bool":
        leaf["default"] = draw(st.booleans())
    elif kind == "list_2":
        leaf["default"] = [1, 2]
    else:
        values = st.integers(1, 64) if kind == "ordered_int" else st.sampled_from(["a", "b ", "None", "\nc", ""])
        leaf["enum"] = draw(st.lists(values, min_size=1, max_size=5))
        leaf["default"] = draw(values)
    return f"{draw(st.sampled_from(['train', 'model', 'train.optim']))}.{draw(_NAMES)}", leaf


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(field=_fields(), seed=st.integers(0, 5))
def test_every_field_becomes_a_valid_range_around_its_value_or_is_kept_with_a_reason(build, field, seed):
    path, leaf = field
    space = build({path: leaf})
    assert len(space.parameters) + len(space.kept) == 1
    if space.kept:
        assert space.kept[0].why
        return
    (parameter,) = space.parameters
    centre = space.centre()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Optuna warns of a value off its range, and of a range off its step
        values = space.suggest(FixedTrial(centre))
        study = study_of(seed)
        for _ in range(3):
            trial = study.ask()
            sampled = space.suggest(trial)
            assert sampled == space.suggest(trial) == space.decode(trial.params)
            (code,) = trial.params.values()
            again = parameter.decode(parameter.encode(sampled[path]))
            assert again == pytest.approx(sampled[path]) if parameter.type == "float" else again == sampled[path]
            assert parameter.domain().clip(code) == pytest.approx(code) if isinstance(code, float) else True
    assert values == {path: parameter.default}
    if "lr_step_size" not in path and not isinstance(leaf["default"], str):
        assert values[path] == leaf["default"]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    queries=st.integers(1, 2000),
    select=st.integers(1, 2000),
    crop=st.integers(1, 1400),
    gap=st.integers(-300, 900),
    seed=st.integers(0, 3),
)
def test_no_trial_breaks_a_rule_whatever_is_launched(detr, queries, select, crop, gap, seed):
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


# ---- identity


_PRINT = """
import sys
from tao_automl.search.overrides import Overrides, parse_search
from tao_automl.search.space import Limits, SearchSpace
from tao_automl.tao.facts import SearchFacts
from tao_automl.tao.schema import Schema
leaf = {"type": "categorical", "default": "a", "enum": ["a", "b"], "automl_enabled": True}
document = {"properties": {f"leaf{i}": leaf for i in range(9)}}
schema = Schema.parse(document, "test")
launched = {name: "a" for name in schema.fields}
print(SearchSpace.build(schema, launched, SearchFacts(), Overrides(), Limits(3)).fingerprint())
"""


def test_the_fingerprint_is_the_same_in_another_process():
    printed = {
        subprocess.run(
            [sys.executable, "-c", _PRINT],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(printed) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"train__optim__lr": 1e-4},
        {"search": "train.optim.lr=1e-5..1e-4"},
        {"keep": {"train.optim.lr": "kept"}},
        {"limits": Limits(epochs=10, samples=3)},
        {"model__num_select": 200},
    ],
)
def test_the_fingerprint_differs_as_soon_as_other_configs_can_be_proposed(detr, changes):
    changes = dict(changes)
    search = [changes.pop("search")] if "search" in changes else []
    assert detr.space(*search, **changes).fingerprint() != detr.space().fingerprint()


def test_the_fingerprint_does_not_look_at_words(detr):
    first = detr.space(keep={"train.optim.lr": "kept by --keep"})
    assert first.fingerprint() == detr.space(keep={"train.optim.lr": "for another reason"}).fingerprint()


def test_as_dict_is_what_space_json_prints(detr):
    shown = detr.space().as_dict()
    lr = next(entry for entry in shown["searched"] if entry["path"] == "train.optim.lr")
    assert {key: lr[key] for key in ("type", "low", "high", "log", "step", "choices", "default", "origin")} == {
        "type": "float",
        "low": 1e-5,
        "high": 1e-3,
        "log": True,
        "step": None,
        "choices": None,
        "default": 2e-4,
        "origin": "role: learning rate",
    }
    assert {"path", "default", "why"} == set(shown["kept"][0])
    assert shown["rules"][0]["rule"] == "model.num_select <= model.num_queries"


def test_a_space_without_parameters_still_suggests_nothing():
    schema = Schema.parse({"properties": {}}, "test")
    space = SearchSpace.build(schema, {}, SearchFacts(active=(ActiveFact("a.b"),)), Overrides(), Limits(1))
    assert space.parameters == ()
    assert space.suggest(FixedTrial({})) == {}
