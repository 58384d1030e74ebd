"""A learning rate as a share of the one beside it: `lr_backbone` of `lr`.

With a range up to 1 it can never be the larger one, and the two move together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tao_automl.errors import UsageError
from tao_automl.search.overrides import Overrides, Range
from tao_automl.search.parameter import Encoding, Parameter
from tao_automl.search.ranges import clean
from tao_automl.search.roles import role_of

_MAIN = "lr"  # the learning rate of a group, which the others are shares of


def by_ratio(found: Mapping[str, Parameter], overrides: Overrides) -> dict[str, Parameter]:
    """The parameters that the user wants as shares.

    Raises:
        UsageError: it is no learning rate, has no other one beside it that is searched, or is launched as none.
    """
    wanted = {path: item for path, item in overrides.search.items() if isinstance(item, Range) and item.ratio}
    return {path: _coupled(found, path, item) for path, item in wanted.items()}


def _coupled(found: Mapping[str, Parameter], path: str, wanted: Range) -> Parameter:
    main = f"{path.rpartition('.')[0]}.{_MAIN}"
    child, parent = found[path], found.get(main)
    if path == main or role_of(path, whole=child.type == "int").name != "learning rate":
        raise UsageError(f"{path} is no share of a learning rate", f"write --search {path}=LOW..HIGH", "no-ratio")
    if wanted.high > 1:
        raise UsageError(
            f"{path} cannot be more than {main}: {wanted.high:g} of it", "end the range at 1 or below", "no-ratio"
        )
    plain = child.choices is None and child.encoding is Encoding.PLAIN
    if parent is None or parent.low is None or parent.high is None or parent.low <= 0 or not plain:
        raise UsageError(
            f"{path} can be a share of {main} only if both are searched as ranges above 0",
            f"search both, or write --search {path}=LOW..HIGH:log",
            "no-ratio",
        )
    launched = child.default / parent.default
    ratio = min(max(launched, wanted.low), wanted.high)
    notes = [f"{wanted.low:g} to {wanted.high:g} of {main}"]
    if ratio != launched:
        notes.append(f"trial 0 takes {ratio:g} of it, the nearest to the launched {launched:g}")
    return replace(
        child,
        default=child.default if ratio == launched else clean(parent.default * ratio),
        origin="--search",
        why="; ".join(notes),
        low=clean(parent.low * wanted.low),
        high=clean(parent.high * wanted.high),
        log=True,
        encoding=Encoding.RATIO,
        parent=parent.path,
        gap=(float(wanted.low), float(wanted.high)),
        reach=(None, None),
        window="",
    )
