"""What a parameter is, told from its name, and which range around its launched value is worth a search.

A schema's bounds are limits of validity: a learning rate "between 0 and 1" says nothing. So each role has a
scale and a window around the launched value, the centre. A box of three decades or less is believed instead
where the role says so.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from tao_automl.search.box import Box
from tao_automl.search.overrides import Number
from tao_automl.search.parameter import Encoding


@dataclass(frozen=True)
class Scope:
    """What a trial has: its epochs, and the largest batch a GPU that its data fill (None = any)."""

    epochs: int
    largest_batch: int | None = None


@dataclass(frozen=True)
class Window:
    """A range before it meets the box. `options` exclude low, high and step; `centre` if it was moved."""

    low: Number | None = None
    high: Number | None = None
    step: Number | None = None
    log: bool = False
    options: tuple[Number, ...] | None = None
    encoding: Encoding = Encoding.PLAIN
    centre: Number | None = None


_Shape = Callable[[Number, Box, Scope], "Window | str"]


@dataclass(frozen=True)
class Role:
    """`pattern` is matched against the last part of a path. `shape` gives the window around a centre, or the
    reason why there is none. `keep`: why the role is not searched unless the user names it. `kind`: only
    'int' or 'float' fields have the role. `off`: the range to look at beside the zero that is launched, where
    zero means "none of it". `memory`: names of the role whose larger values take more memory.
    `widens`: how low and how high its window may ever be widened.
    `words` say what the window is. `structural`: a model that is loaded whole has it fixed.
    """

    name: str
    pattern: str
    shape: _Shape
    trusts_box: bool = False
    kind: str | None = None
    keep: str | None = None
    log: bool = False
    encoding: Encoding = Encoding.PLAIN
    off: tuple[float, float] | None = None
    memory: str | None = None
    widens: tuple[float, float] | None = None
    words: str = ""
    structural: bool = False


def role_of(path: str, whole: bool) -> Role:
    """The first role of the table whose pattern fits the path's last part."""
    kind = "int" if whole else "float"
    parts = path.split(".")
    last = re.sub(r"\[\d+\]$", "", parts[-1])
    if last == "decay" and len(parts) > 1:  # model averaging: ema.decay
        last = f"{parts[-2]}.{last}"
    if last == "val_base" and len(parts) > 1:  # where a schedule begins: learning_rate.val_base
        last = parts[-2]
    return next(role for role in ROLES if role.kind in (None, kind) and re.fullmatch(role.pattern, last))


def takes_memory(path: str) -> bool:
    """Whether a larger value of this parameter needs more memory on a GPU: batches, queries, layers, resolutions."""
    memory = role_of(path, whole=True).memory
    return memory is not None and re.search(memory, path) is not None


def _log(down: float, up: float, cap: float = math.inf) -> _Shape:
    def shape(centre: Number, box: Box, scope: Scope) -> Window | str:  # noqa: ARG001
        if centre <= 0:
            return f"its launched value is {centre:g}, and a log scale cannot hold that"
        return Window(centre / down, max(min(centre * up, cap), centre), log=True)

    return shape


def _momentum(centre: Number, box: Box, scope: Scope) -> Window | str:  # noqa: ARG001
    if not 0 <= centre < 1:
        return f"its launched value {centre:g} is no fraction below 1"
    return Window(max(0.0, 1 - 2 * (1 - centre)), 1 - (1 - centre) / 10, encoding=Encoding.COMPLEMENT)


def _fraction(low: float, high: float) -> _Shape:
    def shape(centre: Number, box: Box, scope: Scope) -> Window | str:  # noqa: ARG001
        return Window(low, high)

    return shape


def _probability(centre: Number, box: Box, scope: Scope) -> Window | str:  # noqa: ARG001
    return Window(0.0 if box.low is None else box.low, 1.0 if box.high is None else box.high)


def _batch(centre: Number, box: Box, scope: Scope) -> Window | str:
    if centre < 1:
        return f"its launched value is {centre:g}"
    options = _powers(2, max(1, centre / 4), centre * 4)
    allowed = {value for value in (*options, int(centre)) if box.allows(value) or value == centre}
    if scope.largest_batch is not None:
        allowed = {value for value in allowed if value <= scope.largest_batch}
    return _ordered(sorted(allowed), f"the data fill no batch of its range: {scope.largest_batch} samples a GPU")


def _power(centre: Number, box: Box, scope: Scope) -> Window | str:  # noqa: ARG001
    if centre < 1:
        return f"its launched value is {centre:g}"
    base = max(2, box.power or 2)
    options = [value for value in _powers(base, centre / 8, centre * 8) if value > 1 and box.allows(value)]
    return _ordered(sorted({*options, int(centre)}), "no power lies in its bounds")


def _layers(centre: Number, box: Box, scope: Scope) -> Window | str:  # noqa: ARG001
    return Window(max(1, centre - 3), centre + 3 if box.high is not None else max(min(centre + 3, 12), centre))


def _queries(centre: Number, box: Box, scope: Scope) -> Window | str:  # noqa: ARG001
    steps = (50, 25, 10, 5, 2, 1) if centre >= 200 else (10, 5, 2, 1)
    return Window(max(1, centre / 3), centre * 3, _dividing(steps, centre))


def _selection(centre: Number, box: Box, scope: Scope) -> Window | str:  # noqa: ARG001
    return Window(min(100, centre), box.high if box.high is not None else centre * 3)


def _epochs(centre: Number, box: Box, scope: Scope) -> Window | str:
    """Within the epochs of a trial. A step beyond them never comes, as one at their very end."""
    inside = min(centre, scope.epochs)
    floor = 1 if box.low is None else max(0, box.low)
    low = max(floor, min(inside / 4, 2)) if inside > 1 else floor
    return Window(low, max(min(inside * 4, scope.epochs), inside), centre=inside)


def _size(centre: Number, box: Box, scope: Scope) -> Window | str:  # noqa: ARG001
    if centre <= 0:
        return f"its launched value is {centre:g}"
    step = box.multiple if box.multiple and centre % box.multiple == 0 else _dividing((32, 16, 8, 4, 2, 1), centre)
    return Window(centre / 2, centre * 2, step)


def _plain(centre: Number, box: Box, scope: Scope) -> Window | str:  # noqa: ARG001
    """The box where it is finite and not far wider than the centre, else a window around the centre."""
    if box.low is not None and box.high is not None and (centre == 0 or box.high <= 100 * abs(centre)):
        return Window(box.low, box.high, box.multiple)
    if centre == 0:
        return "its launched value is 0 and its bounds are open: nothing says how far to look"
    step = box.multiple if box.multiple and centre % box.multiple == 0 else None
    return Window(min(centre / 4, centre * 4), max(centre / 4, centre * 4), step)


def _powers(base: int, low: float, high: float) -> list[int]:
    values, value = [], 1
    while value <= high:
        if value >= low:
            values.append(value)
        value *= base
    return values


def _ordered(values: list[int], otherwise: str) -> Window | str:
    """Ordered choices: exponents where they are consecutive powers of two, else their places."""
    if not values:
        return otherwise
    doubling = all(b == 2 * a for a, b in itertools.pairwise(values))
    consecutive = doubling and values[0] & (values[0] - 1) == 0
    return Window(options=tuple(values), encoding=Encoding.LOG2 if consecutive else Encoding.INDEX)


def _dividing(steps: tuple[int, ...], centre: Number) -> int:
    """The largest step that has the centre on its grid."""
    return next((step for step in steps if centre % step == 0), 1)


_SPEED = "speed only: it changes how fast the data are read, not what is learned"
_SCORING = "scoring only: how many boxes are kept after training"

ROLES: tuple[Role, ...] = (  # the first that fits; `lr_decay` must not reach a pattern for momentum
    Role("loader workers", r"(num_)?workers", _plain, keep=_SPEED),
    Role(
        "batch size",
        r"(.*_)?batch_size|(.*_)?batch_per_(gpu|device|replica)",
        _batch,
        kind="int",
        encoding=Encoding.LOG2,
        memory="",
        words="powers of 2, a quarter to 4 times the launched value",
    ),
    Role(
        "multiplier",
        r".*_mult|.*_multiplier|warmup_factor|bias_lr_factor",
        _log(10, 10),
        True,
        "float",
        log=True,
        widens=(0, math.inf),
        words="a tenth to 10 times the launched value",
    ),
    Role(
        "decay factor",
        r"lr_decay|gamma",
        _log(5, 5, cap=0.9),
        True,
        "float",
        log=True,
        widens=(0, 0.9),
        words="a fifth to 5 times the launched value, 0.9 at most",
    ),
    Role(
        "epochs of a schedule",
        r"lr_step_size|patience|epochs?|(.*_)?warmup_epochs?",
        _epochs,
        kind="int",
        words="within the epochs of a trial",
    ),
    Role(
        "warm-up iterations",
        r"(.*_)?warm_?up_(iters|steps)",
        _log(10, 10),
        kind="int",
        log=True,
        words="a tenth to 10 times the launched value",
    ),
    Role("layer-wise decay", r"layer_decay(_rate)?", _fraction(0.5, 0.95), kind="float", words="0.5 to 0.95"),
    Role(
        "weight decay",
        r"(.*_)?weight_decay(_.*)?|wd",
        _log(100, 100, cap=0.3),
        True,
        "float",
        log=True,
        off=(1e-6, 1e-2),
        widens=(0, 0.3),
        words="a hundredth to 100 times the launched value, 0.3 at most",
    ),
    Role(
        "learning rate",
        r"(.*_)?lr|lr_backbone|lr_clip|(.*_)?learning_rate",
        _log(20, 5),
        True,
        "float",
        log=True,
        widens=(0, math.inf),
        words="a twentieth to 5 times the launched value",
    ),
    Role(
        "momentum",
        r"(.*_)?momentum|(.*_)?betas|.*ema.*decay",
        _momentum,
        kind="float",
        encoding=Encoding.COMPLEMENT,
        words="its distance from 1, a tenth to twice the launched one",
    ),
    Role(
        "gradient clip",
        r"grad_clip|max_norm|clip_grad_norm|clip_grad|(.*_)?grad_norm_clip",
        _log(10, 10),
        True,
        "float",
        log=True,
        off=(0.05, 5.0),
        widens=(0, math.inf),
        words="a tenth to 10 times the launched value",
    ),
    Role(
        "layers",
        r"(enc|dec)_layers|num_layers",
        _layers,
        kind="int",
        memory="",
        words="up to 3 fewer or more",
        structural=True,
    ),
    Role("selection", r"num_select", _selection, kind="int", keep=_SCORING, words="100 and more"),
    Role(
        "queries",
        r"num_(.*_)?queries",
        _queries,
        kind="int",
        memory="",
        widens=(1, math.inf),
        words="a third to 3 times the launched value",
    ),
    Role("dropout", r".*dropout.*", _fraction(0.0, 0.5), kind="float", words="0 to 0.5"),
    Role("probability", r".*(prob(?!l)|ratio(?!n)).*", _probability, kind="float", words="its bounds"),
    Role(
        "size",
        r".*_(size|max|min)|hidden_dim|window_length",
        _size,
        kind="int",
        memory=r"^(?!.*(patch|stride|_min$))",
        words="half to twice the launched value",
    ),
    Role("", r".*", _plain, True),
)
POWER = Role("power", r".*", _power, kind="int", encoding=Encoding.INDEX)
