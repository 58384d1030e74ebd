"""What a run shows while it runs: a live table on a terminal, one line an event elsewhere.

Both are listeners of events and know nothing else. The live table is drawn by a thread of its own, so that
times go on counting between two events.
"""

from __future__ import annotations

import dataclasses
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from rich.console import Console as RichConsole
from rich.console import Group
from rich.live import Live
from rich.text import Text

from tao_automl.cli import _trials, _words
from tao_automl.cli._console import Console, is_unicode
from tao_automl.cli._trials import Row
from tao_automl.events import Event, Listener

HINT = "Ctrl-C: start no more, finish the active ones. Twice: kill them. Either way 'resume' goes on."
REFRESHES_PER_S = 4.0
FRAME_LINES = 7  # header, footer and the blank lines around the table; a notice is one more
PARAMETERS = 3


_NOTICES = (
    *("preparing", "gpu_quarantined", "orphan_stopped", "upload_failed"),
    *("baseline", "final_evaluation", "final_evaluation_failed"),
)


class Board:
    """The state of a study as its events tell it."""

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        self.title = ""
        self.metric = ""
        self.trials: int | None = None
        self.epochs: int | None = None
        self.started_at: datetime | None = None
        self.best: tuple[int, float] | None = None
        self.params: list[str] = []
        self.stopping = ""
        self.notice = ""  # the last thing said of a node, not of a trial
        self._waits: dict[int, str] = {}
        self._retried: dict[int, str] = {}
        self._rows = {row.number: row for row in rows}
        self._since: dict[int, datetime] = {}

    def apply(self, event: Event) -> None:
        """Take in one event; kinds that say nothing about the table are passed over."""
        kind = event["event"]
        self._waits.pop(event.get("trial", -1), None)
        if kind in ("study_started", "study_resumed"):
            self._start(event)
        elif kind in ("trial_started", "trial_attached"):
            self._begin(event)
        elif kind == "epoch":
            self._advance(event)
        elif kind == "trial_stopping":
            self._change(event, state="STOPPING")
        elif kind == "trial_finished":
            self._finish(event)
        elif kind == "new_best":
            self.best = (event["trial"], event["value"])
        elif kind == "study_stopping":
            self.stopping = event["reason"]
        elif kind == "trial_waiting":
            self._waits[event["trial"]] = event["detail"]
        elif kind == "trial_retried":
            self._retried[event["trial"]] = event["reason"]
        elif kind in _NOTICES:
            self.notice = sentence(event)

    def rows(self, now: datetime) -> list[Row]:
        """The active trials, newest first, then the finished ones, newest first."""
        shown = [self._timed(row, now) for row in self._rows.values()]
        return sorted(shown, key=lambda row: (not row.is_active, -row.number))

    @property
    def counts(self) -> Counter[str]:
        return Counter("RUNNING" if row.is_active else row.state for row in self._rows.values())

    @property
    def defaults(self) -> float | None:
        return self._rows[0].value if 0 in self._rows and not self._rows[0].is_active else None

    def _start(self, event: Event) -> None:
        self.metric, self.trials, self.epochs = event["metric"], event["trials"], event["epochs"]
        self.title = f"{event['study']}  {event['runtime']}  {event['direction']} {event['metric']}"
        self.started_at = _time(event)

    def _begin(self, event: Event) -> None:
        number, attempt = event["trial"], event.get("attempt", 1)
        notes = ["defaults"] if number == 0 else []
        cause = f" after {self._retried[number]}" if number in self._retried else ""
        notes += [f"attempt {attempt}{cause}"] if attempt > 1 else []
        self._since[number] = _time(event)
        self._rows[number] = Row(number, "STARTING", epochs=self.epochs, params=event["params"], note=", ".join(notes))
        self.params = _words.most_varied([row.params for row in self._rows.values()], PARAMETERS)

    def _advance(self, event: Event) -> None:
        row = self._rows.get(event["trial"])
        state = "STOPPING" if row is not None and row.state == "STOPPING" else "RUNNING"
        self._change(event, state=state, done=event["epoch"] + 1, value=event["value"])

    def _finish(self, event: Event) -> None:
        number = event["trial"]
        row = self._rows.get(number, Row(number, "RUNNING", epochs=self.epochs))
        notes = [part for part in (row.note, _cause(event)) if part]
        done = self.epochs if event["state"] == "COMPLETE" and self.epochs else row.done
        self._since.pop(number, None)
        self._change(
            event,
            state=event["state"],
            done=done,
            value=event.get("value", row.value),
            time_s=event.get("duration_s"),
            note=", ".join(notes),
        )

    def _change(self, event: Event, **fields: Any) -> None:
        number = event["trial"]
        row = self._rows.get(number, Row(number, "RUNNING", epochs=self.epochs))
        self._rows[number] = dataclasses.replace(row, **fields)

    def _timed(self, row: Row, now: datetime) -> Row:
        since = self._since.get(row.number)
        time_s = (now - since).total_seconds() if since else row.time_s
        note = row.note
        if self.best is not None and self.best[0] == row.number:
            note = f"best, {note}" if note else "best"
        if row.number in self._waits:
            note = ", ".join(part for part in (note, f"waits: {self._waits[row.number]}") if part)
        return dataclasses.replace(row, time_s=time_s, note=note)


def screen(board: Board, now: datetime, width: int, height: int, *, unicode: bool = True) -> list[Text]:
    """The live table as lines; it has at most `height` of them, unless more trials are active."""
    rows = board.rows(now)
    active = sum(row.is_active for row in rows)
    rows = rows[: max(active, height - FRAME_LINES - bool(board.notice))]
    elapsed = (now - board.started_at).total_seconds() if board.started_at else 0.0
    finished = sum(number for state, number in board.counts.items() if state != "RUNNING")
    right = f"{finished} of {board.trials} trials  {_words.duration(elapsed)}"
    space = max(2, width - len(board.title) - len(right))
    header = Text(f"{board.title}{' ' * space}{right}", style="bold")
    if not rows:
        return [header, Text(""), Text(board.notice or "starting the first trial", style="dim")]
    table = _trials.table(rows, board.metric, board.params, unicode=unicode)
    hint = Text(board.stopping or HINT, style="dim" if not board.stopping else "yellow")
    notice = [Text(board.notice, style="dim")] if board.notice else []
    return [header, Text(""), *table.lines(width), Text(""), Text(_footer(board)), *notice, hint]


def _footer(board: Board) -> str:
    parts = [_trials.counts(board.counts)]
    if board.best is not None:
        parts.append(f"best {_words.metric(board.best[1])} (trial {board.best[0]})")
    if board.defaults is not None:
        parts.append(f"defaults {_words.metric(board.defaults)} (trial 0)")
    return "   ".join(parts)


class LiveTable:
    """Draws the board on a terminal until it is left; nothing of it stays."""

    def __init__(self, console: RichConsole, board: Board) -> None:
        self._console = console
        self._board = board
        self._lock = threading.Lock()
        self._live = Live(
            console=console,
            get_renderable=self._render,
            refresh_per_second=REFRESHES_PER_S,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> LiveTable:
        self._live.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._live.stop()

    def __call__(self, event: Event) -> None:
        with self._lock:
            self._board.apply(event)

    def _render(self) -> Group:
        if not self._board.title:
            return Group(Text(self._board.notice or "starting", style="dim"))
        with self._lock:
            lines = screen(
                self._board,
                datetime.now().astimezone(),
                self._console.width,
                self._console.height,
                unicode=is_unicode(self._console),
            )
        for line in lines:
            line.no_wrap, line.overflow = True, "crop"
        return Group(*lines)


class Lines:
    """One line an event."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def __call__(self, event: Event) -> None:
        text = sentence(event)
        if text:
            self._say(f"{_time(event):%H:%M:%S} {text}")


def sentence(event: Event) -> str:
    """An event in words; nothing for one that says nothing new."""
    kind, trial = event["event"], event.get("trial")
    measured = f"{event.get('metric')} {_words.metric(event.get('value'))}"
    if kind in ("study_started", "study_resumed"):
        trials = _words.count(event["trials"], "trial")
        parallel = f"{event['parallel']} at a time, runtime {event['runtime']}"
        return f"study {event['study']} {kind.removeprefix('study_')}: {trials}, {parallel}"
    if kind == "trial_started":
        attempt = event.get("attempt", 1)
        remark = " (defaults)" if trial == 0 else ""
        return f"trial {trial} started{remark}" + (f", attempt {attempt}" if attempt > 1 else "")
    if kind == "epoch":
        return f"trial {trial} epoch {event['epoch'] + 1}/{event['epochs']} {measured}"
    if kind == "trial_finished":
        return _end_of_trial(event, measured)
    if kind == "new_best":
        return f"trial {trial} is the best so far: {measured} at epoch {event['epoch']}"
    if kind == "study_finished":
        best = f"; best {measured} (trial {trial})" if trial is not None else "; no trial has a result"
        return f"study {event['study']} ended: {event['reason']}{best}"
    if kind == "trial_retried":
        return f"trial {trial} attempt {event['attempt']} failed with {event.get('detail') or event['reason']}"
    return {
        "trial_attached": f"trial {trial} attached: it was started before",
        "trial_stopping": f"trial {trial} is being stopped: {event.get('intent')}",
        "trial_lost": f"trial {trial} was lost with its machine; it is started again",
        "trial_waiting": f"trial {trial} waits: {event.get('detail')}",
        "range_widened": f"the {event.get('side')} end of {event.get('path')} is now {_words.value(event.get('to'))}: "
        "the best trials lie there",
        "study_stopping": str(event.get("reason")),
        "trial_scoring": f"trial {trial} is scored by {event.get('action')}",
        "baseline": _baseline(event),
        "final_evaluation": f"trial {trial} is evaluated at epoch {event.get('epoch')}",
        "final_evaluation_failed": f"the winner could not be evaluated: {event.get('detail')}",
        "upload_failed": f"not uploaded for now: {event.get('detail')}",
        "preparing": f"{_place(event)}{event.get('detail')}",
        "gpu_quarantined": f"{_place(event)}GPU {_ids(event)} is used no more: {event.get('reason')}",
        "orphan_stopped": f"{_place(event)}{event.get('job')} was stopped: no trial of the study knows it",
    }.get(kind, "")


def _baseline(event: Event) -> str:
    if event.get("of") == "checkpoint":
        return f"the starting checkpoint reaches {_words.metric(event.get('value'))}"
    return str(event.get("detail") or "there is no checkpoint to start from: the defaults are the baseline")


def _place(event: Event) -> str:
    return f"{event['node']}: " if event.get("node") else ""


def _ids(event: Event) -> str:
    return ", ".join(map(str, event.get("gpus") or ()))


def _end_of_trial(event: Event, measured: str) -> str:
    word = str(_words.state(event["state"]))
    time = _words.duration(event.get("duration_s"))
    if cause := _cause(event):
        where = f"tao-automl show {event['study']}/{event['trial']}"
        return f"trial {event['trial']} {word}: {cause}; {where}"
    said = [measured] if event.get("value") is not None else []
    return f"trial {event['trial']} {word}: {', '.join([*said, time] if time else said)}"


def _cause(event: Event) -> str:
    """Why a trial ended, where its state does not say it: also of one that was given up as infeasible."""
    reason = str(event.get("reason"))
    if event["state"] == "FAIL":
        return reason
    return reason if event["state"] == "PRUNED" and reason not in ("None", "pruned") else ""


@contextmanager
def listening(console: Console, as_json: bool, board: Board) -> Iterator[list[Listener]]:
    """The listener that fits: JSON lines on stdout, a live table, or lines of text on stderr."""
    if as_json:
        yield [console.document]
    elif console.live is not None:
        with LiveTable(console.live, board) as live:
            yield [live]
    else:
        yield [Lines(console.say)]


def _time(event: Event) -> datetime:
    return datetime.fromisoformat(event["time"])
