"""What a run shows while it runs, told from its events."""

from __future__ import annotations

import io
from datetime import datetime, timedelta
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console as RichConsole

from tao_automl.cli import _live, _trials

START = datetime.fromisoformat("2030-01-02T03:10:02.000+00:00")


def event(kind: str, after_s: float = 0.0, **fields: Any) -> dict[str, Any]:
    time = (START + timedelta(seconds=after_s)).isoformat(timespec="milliseconds")
    return {"schema": 1, "time": time, "event": kind, "study": "coco", **fields}


def started(**changed: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "model": "detector",
        "metric": "val_mAP50",
        "direction": "maximize",
        "trials": 4,
        "parallel": 2,
        "epochs": 10,
        "runtime": "process",
    }
    return event("study_started", **{**fields, **changed})


def params(lr: float, batch: int) -> dict[str, Any]:
    return {"train.optim.lr": lr, "dataset.batch_size": batch, "model.dropout": 0.1}


HISTORY = [
    started(),
    event("trial_started", 3, trial=0, attempt=1, params=params(2e-4, 4)),
    event("trial_started", 4, trial=1, attempt=1, params=params(1e-3, 8)),
    event("epoch", 60, trial=0, epoch=0, epochs=10, metric="val_mAP50", value=0.19),
    event("epoch", 61, trial=1, epoch=0, epochs=10, metric="val_mAP50", value=0.02),
    event(
        "trial_finished",
        600,
        trial=0,
        state="COMPLETE",
        epoch=8,
        metric="val_mAP50",
        value=0.4688,
        duration_s=597.0,
    ),
    event("new_best", 600, trial=0, epoch=8, metric="val_mAP50", value=0.4688),
    event("trial_stopping", 601, trial=1, intent="pruned"),
    event("trial_started", 602, trial=2, attempt=2, params=params(5e-4, 2)),
]


def board(*events: dict[str, Any]) -> _live.Board:
    made = _live.Board()
    for item in events:
        made.apply(item)
    return made


def shown(made: _live.Board, after_s: float, width: int = 100, height: int = 40, unicode: bool = True) -> str:
    lines = _live.screen(made, START + timedelta(seconds=after_s), width, height, unicode=unicode)
    return "\n".join(line.plain for line in lines)


TABLE = """\
coco  process  maximize val_mAP50                                              1 of 4 trials  11m02s

TRIAL  STATE     EPOCH             val_mAP50      lr  batch_size    TIME  NOTE
    2  starting  ╌╌╌╌╌╌╌╌╌╌  0/10             0.0005           2   1m00s  attempt 2
    1  stopping  ━╌╌╌╌╌╌╌╌╌  1/10     0.0200   0.001           8  10m58s
    0  complete  ━━━━━━━━━━ 10/10     0.4688  0.0002           4   9m57s  best, defaults

1 complete, 2 active   best 0.4688 (trial 0)   defaults 0.4688 (trial 0)
Ctrl-C: start no more, finish the active ones. Twice: kill them. Either way 'resume' goes on."""


def test_table_of_a_run_in_the_middle() -> None:
    assert shown(board(*HISTORY), 662) == TABLE


def test_without_unicode_the_bars_are_ascii() -> None:
    assert shown(board(*HISTORY), 662, unicode=False).isascii()


@pytest.mark.parametrize("width", [80, 100])
def test_lines_fit_and_numbers_are_whole(width: int) -> None:
    text = shown(board(*HISTORY), 662, width)
    assert all(cell_len(line) <= width for line in text.splitlines()[1:-1])
    assert "0.4688" in text
    assert "0.0005" in text


def test_before_the_first_trial_it_says_what_it_waits_for() -> None:
    assert "starting the first trial" in shown(board(started()), 1)


def test_short_terminal_shows_every_active_trial_and_the_latest_finished() -> None:
    made = board(started(trials=20), *HISTORY[1:])
    for number in range(3, 15):
        made.apply(event("trial_started", 700, trial=number, attempt=1, params=params(1e-4, 4)))
        made.apply(event("trial_finished", 800, trial=number, state="PRUNED", metric="val_mAP50", duration_s=9.0))
    lines = shown(made, 900, height=12).splitlines()
    assert len(lines) <= 12
    assert [line.split()[0] for line in lines[3:-3]] == ["2", "1", "14", "13", "12"]


def test_failed_trial_says_why() -> None:
    made = board(*HISTORY, event("trial_finished", 700, trial=2, state="FAIL", reason="gpu_oom", metric="val_mAP50"))
    assert "attempt 2, gpu_oom" in shown(made, 700)
    assert "1 complete, 1 failed, 1 active" in shown(made, 700)


def test_end_of_a_trial_stops_its_clock() -> None:
    made = board(*HISTORY)
    assert "9m57s" in shown(made, 5000)


def test_stopping_study_says_so_instead_of_the_hint() -> None:
    made = board(*HISTORY, event("study_stopping", 700, reason="interrupted: 2 active trials finish"))
    assert shown(made, 700).splitlines()[-1] == "interrupted: 2 active trials finish"


def test_resumed_study_begins_with_the_trials_it_has() -> None:
    made = _live.Board([_trials.Row(0, "COMPLETE", 10, 10, 0.4, params(2e-4, 4), 90.0, "best, defaults")])
    made.apply({**started(), "event": "study_resumed"})
    made.apply(event("trial_started", 5, trial=1, attempt=1, params=params(1e-3, 4)))
    text = shown(made, 10)
    assert "1 of 4 trials" in text
    assert "1m30s  best, defaults" in text


def test_before_the_first_trial_it_says_what_a_node_gets_ready() -> None:
    made = board(started(), event("preparing", 1, node="box", detail="pulling mine:2, 40 %"))
    assert "box: pulling mine:2, 40 %" in shown(made, 2)


def test_a_trial_that_waits_says_for_what_until_it_is_heard_of_again() -> None:
    made = board(*HISTORY, event("trial_waiting", 700, trial=2, detail="no GPU is free"))
    assert "attempt 2, waits: no GPU is free" in shown(made, 701, 140)
    made.apply(event("epoch", 800, trial=2, epoch=0, epochs=10, metric="val_mAP50", value=0.1))
    assert "waits" not in shown(made, 801)


def test_a_new_attempt_says_what_ended_the_last_one() -> None:
    retried = event("trial_retried", 700, trial=2, attempt=2, reason="gpu_oom", detail="half the batch size")
    again = event("trial_started", 701, trial=2, attempt=3, params=params(5e-4, 1))
    assert "attempt 3 after gpu_oom" in shown(board(*HISTORY, retried, again), 702)


def test_what_happens_to_a_node_is_said_below_the_table_and_takes_no_more_room() -> None:
    quarantined = event("gpu_quarantined", 700, node="box", gpus=["1"], reason="bad_gpu")
    lines = shown(board(*HISTORY, quarantined), 701, height=9).splitlines()
    assert lines[-2] == "box: GPU 1 is used no more: bad_gpu"
    assert len(lines) <= 10


def test_parameters_that_vary_most_are_shown_and_constant_ones_are_not() -> None:
    header = shown(board(*HISTORY), 662).splitlines()[2]
    assert "lr" in header
    assert "dropout" not in header


def test_unknown_event_changes_nothing() -> None:
    made = board(*HISTORY)
    before = shown(made, 700)
    made.apply(event("something_new", 700, trial=99))
    assert shown(made, 700) == before


def test_live_table_draws_on_a_terminal_and_leaves_nothing_behind() -> None:
    stream = io.StringIO()
    console = RichConsole(file=stream, force_terminal=True, width=100, height=30, highlight=False)
    with _live.LiveTable(console, _live.Board()) as live:
        for item in HISTORY:
            live(item)
    drawn = stream.getvalue()
    assert "val_mAP50" in drawn
    assert drawn.endswith("\x1b[2K")


LINES = """\
03:10:02 study coco started: 4 trials, 2 at a time, runtime process
03:10:05 trial 0 started (defaults)
03:10:06 trial 1 started
03:11:02 trial 0 epoch 1/10 val_mAP50 0.1900
03:11:03 trial 1 epoch 1/10 val_mAP50 0.0200
03:20:02 trial 0 complete: val_mAP50 0.4688, 9m57s
03:20:02 trial 0 is the best so far: val_mAP50 0.4688 at epoch 8
03:20:03 trial 1 is being stopped: pruned
03:20:04 trial 2 started, attempt 2"""


def test_piped_every_event_is_one_line() -> None:
    said: list[str] = []
    listener = _live.Lines(said.append)
    for item in HISTORY:
        listener(item)
    assert "\n".join(said) == LINES


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (
            event("trial_finished", trial=3, state="FAIL", reason="gpu_oom", metric="m"),
            "trial 3 failed: gpu_oom; tao-automl show coco/3",
        ),
        (
            event("trial_finished", trial=3, state="PRUNED", metric="m", value=0.2, duration_s=8.0),
            "trial 3 pruned: m 0.2000, 8s",
        ),
        (event("trial_attached", trial=3), "trial 3 attached: it was started before"),
        (event("trial_lost", trial=3, attempt=1), "trial 3 was lost with its machine; it is started again"),
        (event("preparing", node="box", detail="pulling mine:2, 40 %"), "box: pulling mine:2, 40 %"),
        (
            event("trial_waiting", trial=3, detail="the engine does not answer"),
            "trial 3 waits: the engine does not answer",
        ),
        (
            event(
                "trial_retried", trial=3, attempt=1, reason="gpu_oom", detail="gpu_oom: tried again with batch size 4"
            ),
            "trial 3 attempt 1 failed with gpu_oom: tried again with batch size 4",
        ),
        (
            event("trial_finished", trial=3, state="PRUNED", reason="shape", metric="m", duration_s=8.0),
            "trial 3 pruned: shape; tao-automl show coco/3",
        ),
        (
            event("gpu_quarantined", node="box", gpus=["0", "3"], reason="bad_gpu"),
            "box: GPU 0, 3 is used no more: bad_gpu",
        ),
        (
            event("orphan_stopped", node="box", job="coco-0007-1"),
            "box: coco-0007-1 was stopped: no trial of the study knows it",
        ),
        (
            event("study_finished", reason="the budget of 4 trials is used", trial=0, metric="m", value=0.5),
            "study coco ended: the budget of 4 trials is used; best m 0.5000 (trial 0)",
        ),
        (event("study_finished", reason="5 trials failed in a row"), None),
        (event("something_new"), ""),
    ],
)
def test_sentence(given: dict[str, Any], text: str | None) -> None:
    expected = "study coco ended: 5 trials failed in a row; no trial has a result" if text is None else text
    assert _live.sentence(given) == expected
