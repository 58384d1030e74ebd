"""A search space in text."""

from __future__ import annotations

from rich.text import Text

from tao_automl.cli import _words
from tao_automl.cli._tables import Column, Table
from tao_automl.search.parameter import Encoding, Parameter
from tao_automl.search.space import SearchSpace


def lines(space: SearchSpace, width: int) -> list[Text]:
    """What is searched with range and origin, what is kept and why, and the rules between parameters."""
    out: list[Text] = []
    if space.parameters:
        out += _searched(space, width)
    if space.kept:
        out += [Text(""), Text("Kept at their default"), *_kept(space).lines(width)]
    if space.rules:
        out += [Text(""), Text("Rules"), *(Text(f"  {rule.text}") for rule in space.rules)]
    return out


def _searched(space: SearchSpace, width: int) -> list[Text]:
    """One table; where its last column finds no room, that is a table of its own below."""
    origin = Column("FROM", elastic=True)
    columns = [Column("PARAMETER"), Column("TYPE"), Column("RANGE"), Column("SCALE"), Column("DEFAULT", right=True)]
    rows = [_cells(parameter) for parameter in sorted(space.parameters, key=lambda item: item.path)]
    table = Table([*columns, origin], rows)
    if not table.gives_way(width):
        return table.lines(width)
    below = Table([columns[0], origin], [[row[0], row[-1]] for row in rows])
    return [*Table(columns, [row[:-1] for row in rows]).lines(width), Text(""), *below.lines(width)]


def _cells(parameter: Parameter) -> list[str]:
    return [
        parameter.path,
        parameter.type,
        span(parameter),
        _scale(parameter),
        _words.value(parameter.default),
        _origin(parameter),
    ]


def _origin(parameter: Parameter) -> str:
    origin = f"{parameter.origin}, {parameter.window}" if parameter.window else parameter.origin
    parts = [f"{origin}: {parameter.why}" if parameter.why else origin]
    if parameter.encoding is Encoding.GAP:
        parts.append(f"sampled as the gap above {parameter.parent}")
    if parameter.active:
        parts.append("only while " + " or ".join(condition.text for condition in parameter.active))
    return "; ".join(parts)


_SCALES = {Encoding.COMPLEMENT: "log(1-x)", Encoding.SWITCH: "0,log", Encoding.RATIO: "ratio", Encoding.GAP: "gap"}


def _scale(parameter: Parameter) -> str:
    """How it is sampled; nothing where that is linear, or among choices."""
    return _SCALES.get(parameter.encoding, "log" if parameter.log else "")


def span(parameter: Parameter) -> str:
    """The range in the words of `--search`."""
    if parameter.choices is not None and parameter.type == "list":
        ends = parameter.choices[0], parameter.choices[-1]
        return f"{len(parameter.choices)} from {ends[0]} to {ends[1]}"
    if parameter.choices is not None:
        return ",".join(_words.value(choice) for choice in parameter.choices)
    step = f":{_words.value(parameter.step)}" if parameter.step else ""
    return f"{_words.value(parameter.low)}..{_words.value(parameter.high)}{step}"


def _kept(space: SearchSpace) -> Table:
    columns = [Column("PARAMETER"), Column("DEFAULT", right=True), Column("WHY", elastic=True)]
    return Table(columns, [[kept.path, _words.value(kept.default), kept.why] for kept in space.kept])
