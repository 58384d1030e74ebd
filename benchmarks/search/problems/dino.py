"""A surface in the real space of DINO: the default set of 17 parameters, as the project builds it from the skill.

The launched config scores 0.651 and the best one 0.72, as has been seen of such a fine-tuning. Where the best config
lies and what matters how much differs between the instances; nothing of them is taken from a sampler.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from benchmarks.search.problems.problem import Problem, stream
from benchmarks.search.problems.surface import Curve, Ridge, Surface, slopes
from benchmarks.search.problems.surfaces import problem
from benchmarks.search.problems.unit import nearby
from tao_automl.search.overrides import Overrides
from tao_automl.search.parameter import Parameter
from tao_automl.search.space import Limits, SearchSpace
from tao_automl.tao import bank, keypath, spec
from tao_automl.tao.schema import Field, Schema
from tao_automl.tao.skill import Skill

OPTIMUM, LAUNCHED, EPOCHS = 0.72, 0.651, 12
INSTANCES = 5
_SKILLS = Path(__file__).parents[3] / "skills"
_OFFSET = 0.12
_LR, _LR_BACKBONE, _BATCH = "train.optim.lr", "train.optim.lr_backbone", "dataset.batch_size"


@lru_cache
def launch(epochs: int) -> tuple[Skill, Schema, dict[str, Any]]:
    """The skill, its schema, and the spec that a search of so many epochs launches."""
    skill = bank.Bank.of(_SKILLS).find("dino")
    given = {item.path: item.value for item in skill.facts.launch}
    given[skill.facts.keys.epochs] = epochs
    return skill, skill.schema("train"), spec.build(skill.template("train"), given, {})


def space_for(epochs: int) -> SearchSpace:
    """The space that the project builds for a search of so many epochs."""
    skill, schema, launched = launch(epochs)
    return SearchSpace.build(schema, launched, skill.facts.search, Overrides(), Limits(epochs=epochs))


def raw_space() -> SearchSpace:
    """The default set in the schema's own bounds, all linear. An open upper end is twice the launched value."""
    _, schema, launched = launch(EPOCHS)
    found = [_linear(schema.fields[path], launched) for path in schema.default_set]
    parameters = tuple(item for item in found if item is not None)
    return SearchSpace(parameters, order=tuple(item.path for item in parameters))


def _linear(field: Field, launched: Mapping[str, Any]) -> Parameter | None:
    default = keypath.get(launched, field.path, field.default)
    low, high = field.minimum, field.maximum
    if not isinstance(default, int | float) or not isinstance(low, int | float):
        return None
    if not isinstance(high, int | float) or not math.isfinite(high):
        high = 2 * default
    if isinstance(default, int):
        low, high = int(low), int(max(high, default))
    return Parameter(field.path, "int" if isinstance(default, int) else "float", default, "schema", low=low, high=high)


def _surface(number: int) -> Surface:
    name = f"dino-{number}"
    rng = stream("surface", name)
    space = space_for(EPOCHS)
    best = space.decode(space.centre())
    while best == space.decode(space.centre()):
        best = nearby(space, _OFFSET, rng)
    surface = Surface(
        name, space, best, slopes(space, (_LR, _LR_BACKBONE), 1.0, 0.75, rng), epochs=EPOCHS, top=OPTIMUM, rate=_LR,
        ridges=(Ridge(_LR, _BATCH, 0.5, 0.1), Ridge(_LR, _LR_BACKBONE, -0.5, 0.1)), noise=0.003, cliff=0.2,
        curve=Curve(0.35, {_LR: -1.2, "model.num_queries": 0.4}, jump=0.05, drop_at=11 / 12),
        cost={"model.enc_layers": 0.4, "model.dec_layers": 0.3, "model.num_queries": 0.3, _BATCH: -0.4},
    )  # fmt: skip
    return surface.scaled(math.log(OPTIMUM / LAUNCHED) / surface.penalty(space.decode(space.centre())))


def _build(number: int) -> Problem:
    return problem(_surface(number), "dino", raw_space())


PROBLEMS: Mapping[str, Callable[[], Problem]] = {
    f"dino-{number}": partial(_build, number) for number in range(1, INSTANCES + 1)
}
