from __future__ import annotations

import warnings

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from optuna.trial import FixedTrial

from tao_automl.search.ranges import middle, number, same
from tao_automl.search.space import Limits
from tao_automl.tao.field import Field


def test_a_launched_batch_that_the_data_do_not_fill_is_moved_and_said(detr, by_path, why_kept):
    batch = by_path(detr.space(limits=Limits(epochs=10, samples=3)))["dataset.batch_size"]
    assert (batch.choices, batch.default) == ((1, 2), 2)
    assert "launched 4" in batch.why
    space = detr.space(limits=Limits(epochs=10, samples=1))
    assert "dataset.batch_size" in why_kept(space)


def test_leaves_that_cannot_be_searched_are_kept_with_their_reason(build, why_kept):
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
                "m.gone": {"type": "int", "minimum": 1, "maximum": 3, **on},
                "m.missing": {"type": "string", "default": "???", **on},
                "dataset.val_dataset.batch_size": {"type": "int", "default": 4, "minimum": 1, **on},
                "distill.alpha": {"type": "float", "default": 0.5, "minimum": 0.0, "maximum": 1.0, **on},
            }
        )
    )
    assert {path: text.split(":")[0] for path, text in why.items()} == {
        "m.list": "it is a list, which is searched only if it holds milestones, sizes or betas",
        "m.free": "it is text without options to choose from",
        "m.strange": "its math_cond 'about 3' is not understood",
        "m.mark": "its launched value -1 is a mark, not an amount",
        "m.pinned": "its bounds leave one value, 2",
        "m.single": "it has one option, a",
        "m.null": "its launched value is null",
        "m.open": "its launched value is 0 and its bounds are open",
        "m.gone": "absent from the launched spec",
        "m.missing": "its launched value is not set yet (???)",
        "dataset.val_dataset.batch_size": "evaluation only",
        "distill.alpha": "it belongs to the distill action",
    }


def test_a_launched_value_beyond_the_schema_widens_the_range_and_says_so(build, by_path):
    leaf = {"type": "float", "default": 0.7, "minimum": 0.0, "maximum": 0.5, "automl_enabled": True}
    shear = by_path(build({"aug.shear": leaf}))["aug.shear"]
    assert (shear.low, shear.high, shear.default) == (0.0, 0.7, 0.7)
    assert "widened to the launched 0.7" in shear.why


def test_multiples_and_powers_and_excluded_values_keep_their_condition(build, by_path):
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
def test_every_field_becomes_a_valid_range_around_its_value_or_is_kept_with_a_reason(build, field, seed, study_of):
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


# ---- launched values


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("int", 4, 4),
        ("int", 4.0, 4),
        ("int", 4.5, None),
        ("float", 4, 4.0),
        ("float", float("nan"), None),
        ("float", True, None),
        ("float", "???", None),
        ("float", [1.0], None),
        ("int", None, None),
    ],
)
def test_a_launched_value_is_a_number_of_its_fields_type_or_none(kind, value, expected):
    found = number(value, Field("m.x", kind))
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (Field("m.x", "float", default=0.3, minimum=0.0, maximum=1.0), 0.3),
        (Field("m.x", "float", default=None, minimum=0.0, maximum=1.0), 0.5),
        (Field("m.x", "float", minimum=1e-6, maximum=1e-2), 1e-4),
        (Field("m.x", "int", minimum=1, maximum=4), 2),
        (Field("m.x", "float", minimum=0.0), None),
    ],
)
def test_without_a_launched_value_the_default_or_the_middle_is_the_start(field, expected):
    assert middle(field) == pytest.approx(expected)


def test_options_are_the_same_if_they_differ_in_blanks_only_and_not_in_type():
    assert same("res net ", "resnet")
    assert not same(1, True)
    assert not same(1, 1.0)


@pytest.mark.parametrize(
    ("name", "bounds", "ends"),
    [
        ("weight_decay", {"minimum": 0.0}, (1e-6, 1e-2)),
        ("weight_decay", {"minimum": 0.0, "maximum": 1e-3}, (1e-6, 1e-3)),
        ("wd", {}, (1e-6, 1e-2)),
        ("grad_clip", {"minimum": 0.0, "maximum": float("inf")}, (0.05, 5.0)),
    ],
)
def test_what_is_launched_with_none_of_it_may_stay_so(build, by_path, name, bounds, ends):
    space = build({f"train.{name}": {"type": "float", "default": 0.0, "automl_enabled": True, **bounds}})
    found = by_path(space)[f"train.{name}"]
    assert ((found.low, found.high), found.default, found.log) == (ends, 0.0, True)
    assert "0 as it is launched" in found.why
    assert space.suggest(FixedTrial(space.centre()))[found.path] == 0.0


def test_bounds_that_leave_no_room_above_zero_keep_it(build, why_kept):
    leaf = {"type": "float", "default": 0.0, "minimum": 0.0, "maximum": 1e-9, "automl_enabled": True}
    assert why_kept(build({"train.weight_decay": leaf}))["train.weight_decay"].startswith("its launched value is 0")
