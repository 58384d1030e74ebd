"""Why a job failed, by its log, its FAILURE lines, its exit code and what the engine says of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tao_automl.tao.causes import TABLE, WITHOUT_TEXT, Row
from tao_automl.tao.reasons import FailureReason, Reaction

__all__ = [
    "Diagnosis",
    "FailureReason",
    "Reaction",
    "classify",
    "diagnosis",
    "hang",
    "one_line",
    "tail",
    "without_metric",
]

_TAIL_BYTES = 4 * 2**20
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")
_RAISED = re.compile(r"^(?:[\w.]*(?:Error|Exception|Interrupt|Exit)\b.*|.*\bFATAL\b.*)$")
_FROM_OUTSIDE = (0, 130, 143, -2, -15)  # of a job that is not done: it was asked to stop
_KILLED = (137, -9)
_NOT_A_NUMBER = ("nan", "inf", "-inf", "infinity", "-infinity")


@dataclass(frozen=True)
class Diagnosis:
    """A cause, the line that shows it (None if only the exit code does), what helps, and what it asks for."""

    reason: FailureReason
    line: str | None
    fix: str
    reaction: Reaction


_COMPILED = tuple((row, re.compile("|".join(f"(?:{p})" for p in row.patterns), re.I | re.M)) for row in TABLE)


def classify(
    log_tail: str,
    failures: Iterable[str],
    exit_code: int | None,
    *,
    oom_killed: bool = False,
    error: str | None = None,
) -> Diagnosis:
    """The most likely cause of a failure.

    `failures` are the messages of FAILURE lines. They are hints: most errors write none, and a good run may
    hold one. `oom_killed` is what the engine noted of the container, and `error` what it said when the job
    could not be started.

    Some ends say more than any text. Without an exit code and an `error` the job was lost with its machine,
    unless the log names a broken GPU. A trainer never ends with 0, 130 or 143 (0, -2, -15) by an error of its
    own. Only where no row matches, 137 (or -9) is read as a kill for memory.
    """
    messages = list(failures)
    if oom_killed:
        log_tail += "\nThe engine says: OOMKilled=true"
    if error is not None and exit_code is None:
        return _at_start(error, log_tail)
    found = _search("\n".join([*messages, log_tail, error or ""]))
    if exit_code is None:
        return found if found and found.reason is FailureReason.BAD_GPU else diagnosis(FailureReason.LOST)
    if exit_code in _FROM_OUTSIDE:
        return diagnosis(FailureReason.INTERRUPTED, messages[-1] if messages else None)
    if found is not None:
        return found
    if exit_code in _KILLED:
        return diagnosis(FailureReason.HOST_OOM)
    return diagnosis(FailureReason.UNKNOWN, messages[-1] if messages else _last_raised(log_tail))


def diagnosis(reason: FailureReason, line: str | None = None) -> Diagnosis:
    """A cause that was found without its text: by a clock, by a missing container, by the user.

    `line` says how it shows.
    """
    row = WITHOUT_TEXT.get(reason) or min((row for row in TABLE if row.reason is reason), key=lambda row: row.at_start)
    return Diagnosis(reason, one_line(line) if line else None, row.fix, row.reaction)


def hang(log_tail: str, failures: Iterable[str], line: str) -> Diagnosis:
    """A job that fell silent, as `line` says: most often one rank died and the others wait for it.

    So an error in the log is the cause. Trouble between the ranks is only the silence seen from inside.
    """
    found = _search("\n".join([*failures, log_tail]))
    if found is None or found.reason in (FailureReason.NCCL, FailureReason.NETWORK):
        return diagnosis(FailureReason.HANG, line)
    return found


def without_metric(names: Sequence[str], points: Mapping[int, Mapping[str, object]]) -> Diagnosis:
    """Why a training that came to its end has no value: `points` are its kpi by epoch, `names` those of the metric.

    The metric as NaN or infinity is a training that diverged; NaN is None in a kpi.
    """
    for epoch, kpi in sorted(points.items()):
        for name in names:
            value = kpi.get(name, 0.0)
            if value is None or str(value).strip().lower() in _NOT_A_NUMBER:
                return diagnosis(FailureReason.DIVERGED, f"{name} was not a number in epoch {epoch}")
    seen = sorted({name for kpi in points.values() for name in kpi})
    reported = f"; reported were {', '.join(seen)}" if seen else ""
    return diagnosis(FailureReason.NO_METRIC, f"no epoch reported {names[0]}{reported}")


def _at_start(error: str, log_tail: str) -> Diagnosis:
    """What an engine said. Rows for it alone come first: it speaks of disks and rights of its own."""
    found = _search(error, at_start=True) or _search(f"{error}\n{log_tail}")
    if found is not None:
        return found
    return replace(diagnosis(FailureReason.UNKNOWN, error), reaction=Reaction.ELSEWHERE)


def _search(text: str, at_start: bool = False) -> Diagnosis | None:
    for row, pattern in _COMPILED:
        if row.at_start == at_start:
            lines = _lines(text, row, pattern)
            if lines:
                # A traceback quotes the code that raised before it says what was raised.
                said = next((line for line in lines if not line.lstrip().startswith("raise ")), lines[0])
                return Diagnosis(row.reason, one_line(said), row.fix, row.reaction)
    return None


def _lines(text: str, row: Row, pattern: re.Pattern[str]) -> list[str]:
    lines = (_line_at(text, match.start()) for match in pattern.finditer(text))
    return [line for line in lines if row.holds is None or row.holds(line)]


def tail(path: Path, max_lines: int = 2000) -> list[str]:
    """The last lines of a log without colours and blank lines; none if there is no file.

    A progress bar ends its steps with a carriage return, so both kinds of line end count.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _TAIL_BYTES))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    lines = (line.strip() for line in re.split(r"[\r\n]+", _ANSI.sub("", text)))
    return [line for line in lines if line][-max_lines:]


def one_line(message: str) -> str:
    """A message as it is shown: on one line, and not longer than 500 characters."""
    return " ".join(message.split())[:500]


def _line_at(text: str, position: int) -> str:
    start = text.rfind("\n", 0, position) + 1
    end = text.find("\n", position)
    return text[start : end if end >= 0 else len(text)]


def _last_raised(log_tail: str) -> str | None:
    raised = [line for line in log_tail.splitlines() if _RAISED.match(line.strip())]
    return one_line(raised[-1]) if raised else None
