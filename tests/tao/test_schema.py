from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tao_automl.errors import SkillError, UsageError
from tao_automl.tao.schema import MISSING, Condition, Field, Schema

DIALECT = Path(__file__).parents[1] / "data" / "dialect.schema.json"

nodes = st.dictionaries(
    st.sampled_from(
        [
            *("type", "default", "minimum", "maximum", "exclusiveMinimum", "enum", "option_weights"),
            *("depends_on", "parent_param", "automl_enabled", "anyOf", "const", "properties", "math_cond"),
        ]
    ),
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-5, 5)
        | st.floats()
        | st.sampled_from(["int", "float", "list", "null", "collection", "> 0", "> depends_on", "/ 8", "a,b", "TRUE"])
        | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "enum", "x"]), inner),
        max_leaves=6,
    ),
)


@pytest.fixture(scope="module")
def schema() -> Schema:
    return Schema.load(DIALECT)


def leaf(**node: Any) -> Field:
    return Schema.parse({"properties": {"x": node}}, "test").fields["x"]


def test_leaves_and_branches_are_told_apart(schema: Schema) -> None:
    assert {"train", "train.optim", "model", "data", "union"} <= schema.branches
    assert {"model.empty", "model.open", "data.val", "train.gpu_ids"} <= set(schema.fields)
    assert not schema.branches & set(schema.fields)
    assert not any("automl_disabled_parameters" in path for path in schema.fields)


@pytest.mark.parametrize(
    ("path", "there"),
    [
        ("train.optim.lr", True),
        ("train.gpu_ids", True),
        ("train.gpu_ids[0]", True),
        ("model.open.anything.below", True),
        ("train.optim", False),
        ("train.optim.lr.x", False),
        ("nothing", False),
    ],
)
def test_a_spec_can_have_leaves_and_parts_that_are_not_described(schema: Schema, path: str, there: bool) -> None:
    assert schema.has(path) is there


def test_the_default_set_is_sorted_and_names_its_strays(schema: Schema) -> None:
    assert schema.default_set == ("crop.max", "model.width", "train.optim.lr")
    assert schema.strays == ("model", "model.gone")
    assert schema.disabled == {"train", "distill.teacher"}


def test_without_a_list_the_flags_make_the_default_set() -> None:
    document = json.loads(DIALECT.read_text())
    del document["automl_default_parameters"]
    found = Schema.parse(document, "test").default_set
    assert found == (
        "crop.max",
        "model.width",
        "train.classify.cls_weight[1]",
        "train.optim.lr",
        "union.rate",
    )


def test_the_flag_has_three_states(schema: Schema) -> None:
    assert schema.field("train.optim.lr").automl_enabled is True
    assert schema.field("train.gpu_ids").automl_enabled is False
    assert schema.field("train.epochs").automl_enabled is None


def test_infinity_and_nan_are_no_bounds(schema: Schema) -> None:
    assert schema.field("train.epochs").maximum is None
    floor = schema.field("train.optim.floor")
    assert (floor.minimum, floor.maximum, floor.default) == (None, None, None)
    betas = schema.field("train.optim.betas")
    assert betas.minimum == (0.8, 0.9)
    assert betas.maximum == (0.95, None)


def test_no_default_is_not_the_default_null(schema: Schema) -> None:
    assert schema.field("train.resume").default is MISSING
    assert schema.field("train.start").default is None


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("plain.count", "int"),
        ("plain.share", "float"),
        ("plain.flag", "bool"),
        ("plain.maybe", "int"),
        ("data.sources", "list"),
        ("data.val", "collection"),
        ("model.patch", "ordered_int"),
        ("model.stages", "list_1_backbone"),
        ("model.modules", "subset_list"),
        ("model.extras", "optional_list"),
        ("model.kind", "categorical"),
        ("model.fixed", "categorical"),
        ("union.rate", "float"),
        ("union.warmup", "int"),
    ],
)
def test_every_type_word_is_understood(schema: Schema, path: str, word: str) -> None:
    assert schema.field(path).type == word
    assert schema.field(path).problem is None


@pytest.mark.parametrize(
    "word",
    [
        *("int", "float", "bool", "string", "categorical", "list", "collection", "ordered_int", "ordered"),
        *("list_1_backbone", "list_1_normal", "list_2", "list_3", "subset_list", "optional_list", "const"),
        *("enum", "str", "dict", "integer", "number", "boolean", "array", "object"),
    ],
)
def test_no_known_type_word_is_a_problem(word: str) -> None:
    assert leaf(type=word).problem is None


def test_unions_take_the_first_scalar_and_the_keys_on_the_node(schema: Schema) -> None:
    rate = schema.field("union.rate")
    assert (rate.minimum, rate.default, rate.others) == (0.0, 1e-06, ("list",))


def test_open_bounds_are_kept_apart_from_closed_ones(schema: Schema) -> None:
    count, share = schema.field("plain.count"), schema.field("plain.share")
    assert (count.minimum, count.open_minimum, count.maximum) == (0, True, None)
    assert (share.minimum, share.open_minimum) == (0.0, True)
    assert (share.maximum, share.open_maximum) == (1, True)
    assert leaf(type="int", minimum=5, exclusiveMinimum=3).open_minimum is False
    assert leaf(type="int", minimum=5, exclusiveMinimum=3).minimum == 5


@pytest.mark.parametrize(
    ("path", "conditions"),
    [
        ("train.optim.lr", (Condition(">", 0.0),)),
        ("model.lambda", (Condition(">", 0.0), Condition("<=", 1.0))),
        ("model.width", (Condition("multiple", 8),)),
        ("model.rank", (Condition("power", 2),)),
        ("model.hw", (Condition("!=", 0),)),
        ("model.tight", (Condition(">", 0),)),
        ("model.below", (Condition("<", 12),)),
        ("crop.max", (Condition(">", None),)),
        ("model.head", (Condition(">", None),)),
        ("model.select", ()),
    ],
)
def test_conditions_are_values(schema: Schema, path: str, conditions: tuple[Condition, ...]) -> None:
    assert schema.field(path).conditions == conditions


def test_parents_are_named(schema: Schema) -> None:
    assert schema.field("crop.max").depends_on == ("crop.min",)
    assert schema.field("model.head").depends_on == ("model.rank",)
    assert schema.field("model.kernel").depends_on == ("model.width", "model.queries")
    assert schema.field("model.queries").is_parent
    assert not schema.field("model.select").is_parent


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("model.mystery", "its type 'quaternion' is not known"),
        ("model.typeless", "it states no type"),
        ("model.odd", "its math_cond 'is prime' is not understood"),
        ("model.orphan", "does not say which parameter"),
    ],
)
def test_what_is_not_understood_is_kept_with_its_problem(schema: Schema, path: str, words: str) -> None:
    assert words in (schema.field(path).problem or "")


def test_choices_have_the_spelling_of_the_default_or_the_branch(schema: Schema) -> None:
    assert schema.field("model.init").choices == ("KL (divergence)", "plain")
    assert schema.field("union.spelt").choices == ("true", "pissa_[number of iters]")
    assert schema.field("model.fixed").choices == ("only",)


def test_weights_need_one_number_for_each_choice(schema: Schema) -> None:
    assert schema.field("train.optim.decay").weights == (1.0, 3.0, 0.0)
    assert schema.field("train.optim.short_weights").weights is None
    assert leaf(type="categorical", enum=["a", "b"], option_weights=[0, 0]).weights is None


def test_a_name_may_hold_an_index(schema: Schema) -> None:
    assert schema.field("train.classify.cls_weight[1]").maximum == 100.0
    assert schema.default["train"]["classify"]["cls_weight"] == [1.0, 10.0]


def test_without_a_root_default_the_leaves_make_one(schema: Schema) -> None:
    assert schema.default["crop"] == {"min": 384, "max": 600}
    assert "resume" not in schema.default["train"]


def test_an_unknown_key_gets_near_matches(schema: Schema) -> None:
    with pytest.raises(UsageError) as caught:
        schema.field("train.optim.lrr")
    assert caught.value.message == "train.optim.lrr is not in the train schema of toy"
    assert "'train.optim.lr'" in caught.value.tip
    with pytest.raises(UsageError, match=r"train\.optim is a group of keys"):
        schema.field("train.optim")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("train.optim.lr", "abc"),
        ("train.optim.lr", True),
        ("train.optim.lr", math.nan),
        ("train.epochs", 1.5),
        ("train.epochs", 2.0),
        ("train.epochs", True),
        ("train.epochs", "3"),
        ("train.epochs", [1]),
        ("train.epochs", {"a": 1}),
        ("train.gpu_ids", 0),
        ("train.resume", 5),
        ("plain.flag", 1),
        ("plain.flag", "yes"),
        ("model.patch", "14"),
        ("model.modules", "q"),
        ("data.val", []),
        ("union.rate", "fast"),
        ("train", 3),
        ("train.optim", {"lr": "abc"}),
    ],
)
def test_a_value_of_the_wrong_type_is_refused(schema: Schema, path: str, value: Any) -> None:
    with pytest.raises(UsageError):
        schema.check(path, value)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("train.optim.lr", 1),
        ("train.optim.lr", 7.5),
        ("train.optim.lr", None),
        ("train.epochs", 0),
        ("train.gpu_ids", [0, 1]),
        ("train.gpu_ids[0]", 3),
        ("train.resume", "/a.pth"),
        ("train.optim.optimizer", "Adam"),
        ("data.sources", [{"image_dir": "/a"}]),
        ("data.sources[0].image_dir", "/a"),
        ("data.val", {"image_dir": "/a"}),
        ("data.val.image_dir", "/a"),
        ("model.open.new", 1),
        ("model.mystery", "anything"),
        ("union.rate", [1e-6, 1e-5]),
        ("union.spelt", True),
        ("union.spelt", "true"),
        ("train.optim", {"lr": 0.1, "betas": [0.9, 0.99]}),
        ("train.classify.cls_weight[1]", 2.0),
        ("train.classify.cls_weight[0]", 2.0),
    ],
)
def test_a_value_of_the_right_type_passes(schema: Schema, path: str, value: Any) -> None:
    schema.check(path, value)


def test_a_wrong_type_is_told_in_words(schema: Schema) -> None:
    with pytest.raises(UsageError) as caught:
        schema.check("train.epochs", "many")
    assert caught.value.message == "train.epochs takes a whole number, not 'many'"
    assert caught.value.tip == "for example 10"
    with pytest.raises(UsageError) as caught:
        schema.check("train.optim.optimizer", 3)
    assert caught.value.tip == "one of AdamW, SGD"


@pytest.mark.parametrize("path", ["train.optim.lr.x", "train.epochs[0]"])
def test_a_scalar_has_no_parts(schema: Schema, path: str) -> None:
    with pytest.raises(UsageError, match="so it has no"):
        schema.check(path, 1)


@pytest.mark.parametrize("path", ["train.optim.nope", "nope", "train.nope.deeper", "trian.optim.lr"])
def test_an_unknown_key_is_refused(schema: Schema, path: str) -> None:
    with pytest.raises(UsageError, match="is not in the train schema of toy"):
        schema.check(path, 1)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"properties": {\n "a": ]}}', r"train\.schema\.json:2:7: broken JSON"),
        (b"\xff\xfe\x00", "unreadable JSON"),
        (b"[" * 100_000, "JSON"),
        (b"[]", "is no schema"),
        (b'{"properties": []}', "is no schema"),
        (b"", r":1:1: broken JSON"),
    ],
)
def test_a_broken_file_is_named_with_the_place(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "train.schema.json"
    path.write_bytes(content)
    with pytest.raises(SkillError, match=words):
        Schema.load(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SkillError, match=r"none\.json is missing"):
        Schema.load(tmp_path / "none.json")
    with pytest.raises(SkillError, match="cannot be read"):
        Schema.load(tmp_path)


@given(nodes)
def test_no_node_stops_the_reader(node: dict[str, Any]) -> None:
    schema = Schema.parse({"properties": {"x": node, "y": {"type": "int"}}}, "test")
    assert "y" in schema.fields
    for field in schema.fields.values():
        for bound in (field.minimum, field.maximum):
            assert bound is None or isinstance(bound, tuple) or math.isfinite(bound)


@given(st.text(max_size=12), st.text(max_size=12))
def test_no_condition_text_stops_the_reader(math_cond: str, depends_on: str) -> None:
    field = leaf(type="int", default=3, math_cond=math_cond, depends_on=depends_on)
    assert field.problem or field.conditions or field.depends_on
