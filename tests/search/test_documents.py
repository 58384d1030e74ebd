"""Any document of the dialect gives a finite space, stated reasons, or one clear error."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import optuna
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tao_automl.errors import AutoMLError
from tao_automl.search.overrides import Overrides
from tao_automl.search.space import Limits, SearchSpace
from tao_automl.tao import habits, keypath
from tao_automl.tao.facts import ActiveFact, SearchFacts
from tao_automl.tao.field import WORDS
from tao_automl.tao.schema import Schema

INF = float("inf")
NAMES = re.findall(
    r"\S+",
    """
lr base_lr lr_backbone lr_decay lr_step_size lr_steps lr_scheduler weight_decay momentum optimizer betas gamma
batch_size workers enc_layers num_queries num_select warmup_epochs warmup_iters grad_clip dropout flip_prob
train_max_size train_random_crop_min train_random_crop_max fixed_random_crop train_random_resize window_size
scales enable num_epochs val_dataset margin r cls_weight[1] epoch
""",
)
ODD = ("", "a.b", "x[", "[0]", "名", "with space", "default")
BLOCKS = ("train", "train.optim", "dataset", "dataset.augmentation", "model", "distill", "deep.er.still")

numbers = st.one_of(
    st.integers(-3, 2000),
    st.sampled_from([0.0, 0.1, 0.5, 0.9, 0.999, 1.0, 1e-4, 1e-12, -0.2, 1e300, 5e-324, INF, -INF, 2**60, True]),
    st.floats(allow_nan=True),
)
scalars = st.one_of(
    numbers, st.sampled_from(["", "???", "adamw", "SGD", "MultiStep", "StepLR", "${eval: 1}"]), st.none()
)
values = st.one_of(scalars, scalars, st.lists(numbers, max_size=3), st.just({}), st.lists(scalars, max_size=3))
conditions = st.sampled_from(
    ["> 0.0", ">0", "> 0", ">= 1", "> 0.0 <= 1.0", "!= 0", "/ 8", "/ 2", "^ 2", "> depends_on", "< depends_on",
     ">= depends_on", "<= depends_on", "< 5", "", "> ", "about 3", "^ 1", "/ 0", 7, None]
)  # fmt: skip


def node(paths: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from([*WORDS, "union", "tensor", None, ["null", "float"]]),
            "default": values,
            "minimum": values,
            "maximum": values,
            "exclusiveMinimum": st.one_of(numbers, st.booleans()),
            "enum": st.lists(scalars, max_size=4),
            "option_weights": st.lists(numbers, max_size=4),
            "math_cond": conditions,
            "depends_on": st.sampled_from([*paths, ", ".join(paths[:2]), "> " + paths[0], "no.such", "a..b", "", 3]),
            "automl_enabled": st.sampled_from([True, True, True, False, None, "yes"]),
            "anyOf": st.lists(
                st.fixed_dictionaries({"type": st.sampled_from(["number", "array", "null"])}), max_size=2
            ),
            "description": st.sampled_from(["divisible by model.r", "multiple of 8", "text"]),
            "parent_param": st.just("TRUE"),
        },
    )


@st.composite
def documents(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """A schema's document and the spec that is launched with it."""
    name = st.one_of(st.sampled_from(NAMES), st.sampled_from(NAMES), st.sampled_from(ODD))
    paths = draw(st.lists(st.tuples(st.sampled_from(BLOCKS), name), min_size=1, max_size=9, unique=True))
    leaves = {f"{block}.{last}": draw(node([".".join(pair) for pair in paths])) for block, last in paths}
    properties: dict[str, Any] = {"automl_disabled_parameters": ["a"]}
    launched: dict[str, Any] = {}
    for (block, last), leaf in zip(paths, leaves.values(), strict=True):
        below = properties
        for part in block.split("."):
            group = below.setdefault(part, {"type": "collection"})
            below = group.setdefault("properties", {})
        below[last] = leaf
        place = launched
        for part in block.split("."):
            place = place.setdefault(part, {})
        if draw(st.booleans()):
            place[last.split("[")[0]] = draw(values) if draw(st.booleans()) else leaf.get("default")
    document = {"properties": properties}
    if draw(st.booleans()):
        document["automl_default_parameters"] = [*leaves, "stray"]
    return json.loads(json.dumps(document)), launched


def built(document: dict[str, Any], launched: dict[str, Any], search: dict[str, None]) -> SearchSpace | None:
    """The space with the rules for all models, or None if a clear error says why there is none."""
    try:
        schema = Schema.parse(document, "test")
        known = habits.search(schema, launched, "train.num_epochs")
        active = tuple(
            ActiveFact(item["path"], *(tuple(_listed(item.get(word))) for word in ("when", "unless")))
            for item in known.get("active", ())
        )
        facts = SearchFacts(active=active, rules=tuple(known.get("rules", ())))
        return SearchSpace.build(schema, launched, facts, Overrides(search), Limits(10, samples=100))
    except AutoMLError as error:
        assert error.message
        assert "\n" not in error.message
        return None


def _listed(part: Any) -> list[Any]:
    return part if isinstance(part, list) else [] if part is None else [part]


def check(space: SearchSpace, document: dict[str, Any]) -> None:
    assert all(entry.why for entry in space.kept)
    json.dumps(space.as_dict(), allow_nan=True)
    assert space.fingerprint()
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    study.enqueue_trial(space.centre())
    for _ in range(3):
        trial = study.ask()
        drawn = space.suggest(trial)
        assert space.decode(trial.params) == drawn
        for parameter in space.parameters:
            if parameter.path in drawn:
                sound(parameter, drawn[parameter.path])


def sound(parameter: Any, value: Any) -> None:
    if parameter.choices is not None:
        assert value in parameter.choices
    elif isinstance(value, (int, float)):
        assert math.isfinite(value)
        assert isinstance(value, int) == (parameter.type == "int")
        assert keypath.valid(parameter.path)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(documents())
def test_any_document_gives_a_finite_space_or_stated_reasons(made: tuple[dict[str, Any], dict[str, Any]]) -> None:
    document, launched = made
    space = built(document, launched, {})
    if space is None:
        return
    check(space, document)
    schema = Schema.parse(document, "test")
    said = {item.path.partition("[")[0] for item in (*space.parameters, *space.kept)}
    assert {path.partition("[")[0] for path in schema.default_set} <= said


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(documents(), st.data())
def test_whatever_leaf_is_named_is_searched_or_refused_in_one_sentence(made: Any, data: st.DataObject) -> None:
    document, launched = made
    path = data.draw(st.sampled_from(sorted(Schema.parse(document, "test").fields)))
    space = built(document, launched, {path: None})
    if space is not None:
        check(space, document)
        assert path.partition("[")[0] in {item.path.partition("[")[0] for item in space.parameters}
