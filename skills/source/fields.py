"""The words that a spec is described in: leaves and groups of leaves."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

MISSING: Final = object()  # A leaf without a default, which is not the default null.
INF: Final = math.inf


@dataclass(frozen=True)
class Leaf:
    """One key of a spec.

    `kind` is TAO's word for the type: int, float, bool, string, categorical, list, list_2, collection …
    `minimum` and `maximum` are inclusive; INF is TAO's way to say that nothing bounds it, None that TAO says
    nothing. `condition` is TAO's `math_cond`, kept to the letter. `automl` has three states: True, searched
    by default; False, never; None, only if the user names it.
    """

    kind: str
    text: str
    default: Any = MISSING
    minimum: float | None = None
    maximum: float | None = None
    options: tuple[str | int, ...] | None = None
    weights: tuple[float, ...] | None = None
    condition: str | None = None
    depends_on: str | None = None
    automl: bool | None = None
    popular: bool = False
    required: bool = False


@dataclass(frozen=True)
class Group:
    """Keys below a key, in the order in which they are written."""

    text: str
    children: Mapping[str, Leaf | Group]

    def plus(self, **children: Leaf | Group) -> Group:
        """The group with more children, or with others under the same names."""
        return Group(self.text, {**self.children, **children})

    def without(self, *names: str) -> Group:
        """The group without some children.

        Raises:
            KeyError: there is no such child.
        """
        for name in names:
            self.children[name]
        return Group(self.text, {name: node for name, node in self.children.items() if name not in names})

    def changed(self, name: str, **changes: Any) -> Group:
        """The group with one leaf that differs in some of its fields.

        Raises:
            KeyError: there is no such child.
            TypeError: the child is a group.
        """
        leaf = self.children[name]
        if not isinstance(leaf, Leaf):
            raise TypeError(f"{name} is a group")
        return Group(self.text, {**self.children, name: replace(leaf, **changes)})

    def unsearched(self) -> Group:
        """The same keys, none of which is searched by default."""
        return Group(
            self.text,
            {
                name: node.unsearched() if isinstance(node, Group) else replace(node, automl=False)
                for name, node in self.children.items()
            },
        )


def items(text: str, default: list[Any], kind: str = "list", **changes: Any) -> Leaf:
    """A leaf that holds a list. Lists are never searched."""
    return replace(Leaf(kind, text, default, automl=False), **changes)


def mapping(text: str, default: Any = MISSING) -> Leaf:
    """A leaf that holds a mapping whose keys are not described."""
    return Leaf("collection", text, default, automl=False)


def walk(group: Group, prefix: str = "") -> Iterator[tuple[str, Leaf | Group]]:
    """Every node below a group with its path, parents first."""
    for name, node in group.children.items():
        path = f"{prefix}.{name}" if prefix else name
        yield path, node
        if isinstance(node, Group):
            yield from walk(node, path)


def leaves(group: Group) -> dict[str, Leaf]:
    """Every leaf below a group by its path."""
    return {path: node for path, node in walk(group) if isinstance(node, Leaf)}
