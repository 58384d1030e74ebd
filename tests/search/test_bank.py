"""Every default-searched parameter of the public bank gets its range, or the reason why not."""

from __future__ import annotations

import math
from collections import Counter

import optuna
import pytest
from optuna.trial import FixedTrial

from tao_automl.search import ranges
from tao_automl.search.parameter import Encoding, Parameter
from tao_automl.search.roles import Scope, role_of
from tests.search.bank_rows import EPOCHS, Model, Row, models, rows

MODELS = models()

# Where the program means to differ from the table, and why.
NO_FIRST_POWER = "a power of 2 begins with 2, as TAO draws it; the table adds 1"
OPEN_END = "an open end is not drawn: the range begins a thousandth above it"
RULE = "the upper end is a rule: at most the smallest train_random_resize"
BOX = "the schema's box is just three decades wide, so it is believed"
TEXT = "the step of 10 stands in the description, which the table lacks; see test_selection"
FOUR_TIMES = "four times the launched 1 epoch; the table adds one"
LISTS = "a list of milestones is an ordered choice of scaled lists; betas are two parameters"


def difference(row: Row, found: Parameter) -> str | None:
    """Why a range may differ from that of the table; None if it must not."""
    name = row.path.rpartition(".")[2]
    if row.leaf.get("math_cond") == "^ 2":
        return NO_FIRST_POWER if found.choices == tuple(row.grid[1:]) else None
    if row.leaf.get("math_cond") == "> 0.0" and found.low == pytest.approx(row.high / 1000) and found.high == row.high:
        return OPEN_END
    if name == "train_random_crop_min" and (found.low, found.high, found.step) == (192, 768, 32):
        return RULE
    if (found.low, found.high) == (row.leaf.get("minimum"), row.leaf.get("maximum")) and found.high == 1000 * found.low:
        return BOX
    if (name, found.step) == ("window_length", 4):
        return TEXT
    return FOUR_TIMES if (name, found.high) == ("warmup_epochs", 4) else None


def agrees(row: Row, found: Parameter) -> bool:
    if row.distribution == "categorical":
        return sorted(map(str, found.choices or ())) == sorted(map(str, row.grid))
    low, high = float(row.low), float(row.high)
    if found.encoding is Encoding.COMPLEMENT:
        low, high = 1 - 10**high, 1 - 10**low
    ends = math.isclose(found.low, low, rel_tol=1e-3, abs_tol=1e-9) and math.isclose(found.high, high, rel_tol=1e-3)
    return ends and found.log == row.distribution.endswith("log") and found.step == row.grid


def test_each_range_is_that_of_the_table_or_differs_for_a_reason() -> None:
    seen: Counter[str] = Counter()
    for row in rows():
        field = Model("one", (row,)).schema.fields[row.path]
        found = ranges.automatic(field, row.launched, Scope(10))
        if not row.distribution:
            kept = isinstance(found, str) or role_of(row.path, whole=True).keep
            seen["kept" if kept else LISTS] += 1
            assert kept or found.type == "list", row
            continue
        assert isinstance(found, Parameter), (row, found)
        if agrees(row, found):
            seen["agrees"] += 1
            continue
        why = difference(row, found)
        assert why is not None, (row, found)
        seen[why] += 1
    assert seen == {
        "agrees": 338,
        "kept": 11,
        OPEN_END: 25,
        RULE: 4,
        NO_FIRST_POWER: 2,
        BOX: 1,
        TEXT: 1,
        FOUR_TIMES: 1,
        LISTS: 2,
    }


# Rows that are inert for a reason that only the model's own code or text knows.
OWN_CODE = ("never read", "backbone=")


@pytest.mark.parametrize("model", MODELS, ids=[model.name for model in MODELS])
def test_what_has_no_effect_is_kept_and_everything_else_is_searched(model: Model) -> None:
    space = model.space()
    searched = {item.path for item in space.parameters} | {item.path.split("[")[0] for item in space.parameters}
    kept = {entry.path: entry.why for entry in space.kept}
    for row in model.rows:
        inert = bool(row.inert) and not row.inert.startswith(OWN_CODE)
        quiet = role_of(row.path, whole=row.leaf.get("type") == "int").keep or row.path == EPOCHS
        if inert:
            assert kept.get(row.path), (row.path, row.inert)
        elif row.distribution and not quiet:
            assert row.path in searched, (row.path, kept.get(row.path))
        assert row.path in searched or kept[row.path]


@pytest.mark.parametrize("model", MODELS, ids=[model.name for model in MODELS])
def test_each_space_can_be_sampled_and_begins_with_what_is_launched(model: Model) -> None:
    space = model.space()
    assert space.parameters
    values = space.suggest(FixedTrial(space.centre()))
    for item in space.parameters:
        if item.path in values and not item.why:
            assert values[item.path] == item.default
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    for _ in range(5):
        trial = study.ask()
        drawn = space.suggest(trial)
        assert space.decode(trial.params) == drawn
        for item in space.parameters:
            value = drawn.get(item.path)
            if isinstance(value, float):
                assert math.isfinite(value)
            if item.choices is not None and value is not None:
                assert value in item.choices
