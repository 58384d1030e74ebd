"""Problems by name. A name may end in `~off`, `~good` or `~none`, which moves the centre that a search starts from.

`off`: a learning rate a decade from the best one. `good`: close to the best config. `none`: anywhere, drawn for each
seed, which is what a search knows that has no prior.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache

from benchmarks.search.problems import dino, surfaces, tables, trained
from benchmarks.search.problems.centres import CENTRES
from benchmarks.search.problems.problem import Problem

_BUILDERS: Mapping[str, Callable[[], Problem]] = {
    **dino.PROBLEMS,
    **surfaces.PROBLEMS,
    **tables.PROBLEMS,
    **trained.PROBLEMS,
}
SLOW = ("standin-dino",)  # a training takes ten seconds and more of a processor
SHORT = ("finetune-1", "sparse-1", "dino-1")


def names() -> tuple[str, ...]:
    """Every problem that can be built here, without those of moved centres."""
    return tuple(_BUILDERS)


def select(patterns: str) -> tuple[str, ...]:
    """Names for a list with commas; `dino` stands for dino-1, dino-2 …, `all` for all but the slow ones.

    Raises:
        SystemExit: nothing has this name.
    """
    chosen: dict[str, None] = {}
    for pattern in patterns.split(","):
        stem, _, centre = pattern.partition("~")
        found = [name for name in names() if stem in (name, family(name)) or (stem == "all" and name not in SLOW)]
        if not found or (centre and centre not in CENTRES):
            raise SystemExit(f"no problem is called '{pattern}'; there are {', '.join(names())}")
        chosen.update(dict.fromkeys(f"{name}~{centre}" if centre else name for name in found))
    return tuple(chosen)


def family(name: str) -> str:
    """The family of a problem, with its moved centre: `dino`, `ridge~off`."""
    stem, _, centre = name.partition("~")
    kind = stem.partition(":")[0] if ":" in stem else stem.rpartition("-")[0]
    return f"{kind}~{centre}" if centre else kind


@lru_cache(maxsize=64)
def build(name: str) -> Problem:
    """A problem by its name."""
    stem, _, centre = name.partition("~")
    found = _BUILDERS[stem]()
    if not centre:
        return found
    return replace(found, name=name, family=f"{found.family}~{centre}", centre=CENTRES[centre](found))
