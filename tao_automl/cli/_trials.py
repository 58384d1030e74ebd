"""Trials as rows of a table: the same for `status`, for the live table and for the end of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.text import Text

from tao_automl.cli import _words
from tao_automl.cli._tables import Column, Table
from tao_automl.report import Study, Trial

_WORDS = {
    "STARTING": ("starting", "dim"),
    "STOPPING": ("stopping", "yellow"),
    "STOPPED": ("stopped", "yellow"),
}
RESUMABLE = "'resume' goes on with it"


@dataclass(frozen=True)
class Row:
    """What is shown of a trial. `state` is Optuna's, or one of STARTING, STOPPING and STOPPED."""

    number: int
    state: str
    done: int = 0
    epochs: int | None = None
    value: float | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    time_s: float | None = None
    note: str = ""
    measured: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_active(self) -> bool:
        return self.state in ("RUNNING", "STARTING", "STOPPING")


def rows(study: Study) -> list[Row]:
    """The trials of a study, in the order of their numbers."""
    return [_row(trial, study) for trial in study.trials]


def _row(trial: Trial, study: Study) -> Row:
    state = trial.state
    if state == "RUNNING":
        stopping = "STOPPING" if trial.intent else "STARTING" if not trial.points else "RUNNING"
        state = "STOPPED" if trial.parked else stopping
    return Row(
        number=trial.number,
        state=state,
        done=trial.epochs_done,
        epochs=trial.epochs,
        value=trial.value,
        measured=trial.measured,
        params=trial.params,
        time_s=trial.duration_s if trial.is_finished or study.driver else None,
        note=_note(trial, study),
    )


def _note(trial: Trial, study: Study) -> str:
    notes = []
    if study.winner is not None and study.winner.trial == trial.number:
        notes.append("best")
    if trial.kind == "confirm":
        notes.append(f"repeats {trial.parent}")
    if trial.number in [won.trial for won in study.pareto]:
        notes.append("unbeaten")
    notes += [f"breaks {text}" for text in trial.broken]
    if trial.number == 0:
        notes.append("defaults")
    if trial.attempt > 1:
        notes.append(f"attempt {trial.attempt}")
    if trial.is_finished and trial.reason:
        notes.append(f"infeasible: {trial.reason}" if trial.infeasible else trial.reason)
    if not trial.is_finished and study.driver is None:
        notes.append(RESUMABLE)
    return ", ".join(notes)


def foremost(rows: Sequence[Row], count: int) -> list[Row]:
    """Of many trials the last `count`, and what counts among the earlier ones: the defaults, the best, the active."""
    early = [row for row in rows[:-count] if row.is_active or row.number == 0 or row.note.startswith("best")]
    return [*early, *rows[-count:]]


def table(shown: Iterable[Row], metric: str, params: Sequence[str], *, unicode: bool) -> Table:
    """A table of trials with the parameters `params`; NOTE is what folds."""
    names, shown = _words.short_names(params), list(shown)
    measured = list(dict.fromkeys(name for row in shown for name in row.measured))
    columns = [
        Column("TRIAL", right=True),
        Column("STATE"),
        Column("EPOCH"),
        Column(metric, right=True),
        *(Column(name, right=True) for name in measured),
        *(Column(names[path], right=True) for path in params),
        Column("TIME", right=True),
        Column("NOTE", elastic=True),
    ]
    return Table(columns, [_cells(row, measured, params, unicode=unicode) for row in shown])


def _cells(row: Row, measured: Sequence[str], params: Sequence[str], *, unicode: bool) -> list[str | Text]:
    word, style = _WORDS.get(row.state, ("", ""))
    return [
        str(row.number),
        Text(word, style=style) if word else _words.state(row.state),
        _words.bar(row.done, row.epochs, unicode=unicode),
        _words.metric(row.value),
        *(_words.metric(row.measured.get(name)) for name in measured),
        *(_words.value(row.params[path], 3) if path in row.params else "" for path in params),
        _words.duration(row.time_s),
        row.note,
    ]


def counts(states: Mapping[str, int]) -> str:
    """`7 complete, 3 pruned, 1 failed, 2 active`."""
    active = states.get("RUNNING", 0)
    parts = [f"{states[name]} {_words.state(name)}" for name in ("COMPLETE", "PRUNED", "FAIL") if states.get(name)]
    return ", ".join([*parts, f"{active} active"] if active else parts) or "no trials"
