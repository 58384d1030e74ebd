"""How a run ends on the terminal, and with which exit code."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from rich.text import Text

from tao_automl import report
from tao_automl.cli import _best, _trials, _words
from tao_automl.cli._console import Console
from tao_automl.report import Study

if TYPE_CHECKING:
    from tao_automl.tuner import Outcome

INTERRUPTED = 130
NO_RESULT = 1
TOP = 5


def finish(console: Console, where: report.Where, name: str, outcome: Outcome, *, as_json: bool) -> int:
    """Say what the study has found and what to type next; returns the exit code."""
    study = report.study(where, name, datetime.now())
    if not as_json:
        console.out(*lines(study, outcome, console.width, unicode=console.unicode))
    if outcome.interrupted:
        return INTERRUPTED
    return NO_RESULT if outcome.aborted or study.winner is None else 0


def lines(study: Study, outcome: Outcome, width: int, *, unicode: bool) -> list[str | Text]:
    out: list[str | Text] = [f"{study.name}: {_trials.counts(study.counts)}; {outcome.reason}"]
    rows = _top(study)
    if rows:
        params = _words.most_varied([row.params for row in rows])
        out += ["", *_trials.table(rows, study.metric.name, params, unicode=unicode).lines(width)]
    if study.winner is not None:
        out += ["", *_best.summary(study, study.winner)]
        out += ["", *_best.pareto(study, width)] if study.pareto else []
    else:
        out += ["", *_failure(study)]
    out.append("")
    if outcome.interrupted:
        out.append(f"Next: tao-automl resume {study.name}")
    elif outcome.aborted:
        out.append(f"Next: put that right, then tao-automl resume {study.name}")
    elif study.winner is not None:
        out.append(_best.next_step(study))
    return out if out[-1] else out[:-1]


def _top(study: Study) -> list[_trials.Row]:
    """The best trials, then those without a value."""
    sign = -1.0 if study.metric.maximizes else 1.0
    rows = _trials.rows(study)
    return sorted(
        rows, key=lambda row: (row.state == "FAIL", row.value is None, sign * (row.value or 0.0), row.number)
    )[:TOP]


def _failure(study: Study) -> list[str]:
    failed = [trial for trial in study.trials if trial.reason is not None]
    if any(trial.broken for trial in study.trials):
        return [_best.why_none(study)]
    if not failed:
        return ["No trial has a result."]
    first = failed[0]
    said = f": {first.detail}" if first.detail else ""
    return [
        f"No trial has a result. Trial {first.number} failed with {first.reason}{said}",
        f"Log: {_words.path(first.files.log)}",
        f"Next: tao-automl show {study.name}/{first.number}",
    ]
