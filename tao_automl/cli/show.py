"""`tao-automl show`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from tao_automl.cli import _options

if TYPE_CHECKING:
    from rich.text import Text

    from tao_automl.cli._console import Console
    from tao_automl.report import Study, Trial

Attempt = tuple[int, str, str]  # its number, how it ended, what was done about it


@click.command("show")
@click.argument("name", required=False, metavar="STUDY[/TRIAL]")
@click.option("--spec", is_flag=True, help="Print the trial's whole spec")
@_options.places
@_options.json_option
def command(name: str | None, spec: bool, as_json: bool, **flags: Any) -> None:
    """Show one study or trial: settings, parameters, failure, command.

    Of a trial: how it ended and why, what differs from the defaults, and how to run it by hand.
    """
    from datetime import datetime

    from tao_automl import report
    from tao_automl.cli._console import Console
    from tao_automl.errors import UsageError

    study_name, number = _options.study_and_trial(name)
    where = _options.where(flags)
    found = report.study(where, study_name, datetime.now())
    console = Console()
    if number is None:
        if spec:
            raise UsageError("--spec is of a trial", tip=f"tao-automl show {found.name}/0 --spec")
        _show_study(found, console, as_json)
        return
    trial = found.trial(number)
    if spec and not trial.files.spec.exists():
        raise UsageError(f"trial {number} has no spec: {trial.files.spec} is missing")
    earlier = _earlier(found, number)
    if as_json:
        console.document(_document(trial, found, earlier, spec))
    elif spec:
        console.out(trial.files.spec.read_text(encoding="utf-8").rstrip())
    else:
        console.out(*_trial(trial, found, earlier))


def _earlier(study: Study, number: int) -> list[Attempt]:
    """The attempts of a trial that were followed by another one, the oldest first."""
    from tao_automl import events

    return [
        (event.get("attempt", 1), str(event.get("reason", "")), str(event.get("detail", "")))
        for event in events.read(study.paths.events)
        if event["event"] == "trial_retried" and event.get("trial") == number
    ]


def _show_study(study: Study, console: Console, as_json: bool) -> None:
    """Settings and space come from the study's folder and its skill; the rest is in storage."""
    from tao_automl import driver
    from tao_automl.cli import _plan
    from tao_automl.errors import AutoMLError

    try:
        plan = driver.plan_of(study.name, study.paths.folder.parent, {})
    except AutoMLError as error:
        plan, problem = None, error.message
    if as_json:
        space = _plan.document(plan) if plan else {"settings": None, "space": None}
        part = {key: space[key] for key in ("settings", "space")}
        console.document({"schema": 1, **study.as_dict(), **part})
        return
    console.out(*_facts(study))
    if plan is not None:
        console.out(*_plan.record(plan, console.width))
    else:
        console.say("", f"settings and space cannot be shown: {problem}")


def _facts(study: Study) -> list[Text]:
    from tao_automl.cli import _best, _trials, _words
    from tao_automl.cli._tables import facts

    driven = f", driven by {study.driver}" if study.driver else ""
    return facts(
        [
            ("Study", study.name),
            ("State", f"{study.state}{driven}"),
            ("Model", study.model),
            ("Goal", _best.goal(study)),
            ("Trials", f"{_trials.counts(study.counts)}; {study.budget_trials or 'no limit'} in all"),
            ("Ended", study.ended),
            ("Aborted", study.aborted),
            ("Faulty GPUs", ", ".join(study.quarantine)),
            ("Runtime", study.runtime),
            ("Folder", _words.path(study.paths.folder)),
        ]
    )


def _trial(trial: Trial, study: Study, earlier: Sequence[Attempt]) -> list[str | Text]:
    from tao_automl.cli import _words
    from tao_automl.cli._tables import facts

    measured = f"{_words.metric(trial.value)} at epoch {trial.epoch} (counted from 0)"
    out: list[str | Text] = [
        *facts(
            [
                ("State", _state(trial)),
                ("Why", trial.detail),
                ("Fix", trial.fix),
                (trial.metric, measured if trial.value is not None else None),
                ("Ran with", "\n".join(_ran(trial))),
                ("Node", _node(trial)),
                ("Attempts", "\n".join(_attempts(trial, earlier))),
                ("Checkpoint", _words.path(trial.checkpoint) if trial.checkpoint else None),
                ("Log", "\n".join(_log(trial))),
            ]
        )
    ]
    changed = _changed(trial, study)
    if changed:
        out += ["", "Parameters that differ from the defaults"]
        out += [f"  {path} {_words.value(now)} ({_words.value(before)})" for path, (before, now) in changed.items()]
    if trial.files.run_sh.exists():
        out += ["", "Run it by hand", f"  {_words.path(trial.files.run_sh)}"]
    return out


def _state(trial: Trial) -> str:
    from tao_automl.cli import _trials, _words

    word = "infeasible" if trial.infeasible else str(_words.state(trial.state))
    if trial.reason:
        word += f": {trial.reason}"
    if trial.exit_code is not None:
        word += f" (exit code {trial.exit_code})"
    if trial.epochs:
        word += f", {trial.epochs_done} of {trial.epochs} epochs"
    if trial.parent is not None:
        word += f", {trial.kind} from trial {trial.parent}"
    if trial.duration_s is not None:
        word += f", after {_words.duration(trial.duration_s)}"
    if trial.attempt > 1:
        word += f", attempt {trial.attempt}"
    return f"{word}, stopped: {_trials.RESUMABLE}" if trial.parked else word


def _node(trial: Trial) -> str | None:
    gpus = f", GPU {', '.join(trial.gpus)}" if trial.gpus else ""
    return f"{trial.node}{gpus}" if trial.node else None


def _ran(trial: Trial) -> list[str]:
    """What differs from what was proposed, because that did not run."""
    from tao_automl.cli import _words

    out = []
    for path, value in trial.ran.items():
        proposed = f", not {_words.value(trial.params[path])} as proposed" if path in trial.params else ""
        out.append(f"{path} {_words.value(value)}{proposed}")
    return out


def _attempts(trial: Trial, earlier: Sequence[Attempt]) -> list[str]:
    """How the earlier attempts ended. Events tell each; without them storage still counts them."""
    if earlier:
        return [f"{number} ended: {detail or reason}" for number, reason, detail in earlier]
    counts = ", ".join(f"{count} {reason}" for reason, count in sorted(trial.retries.items()))
    return [f"{trial.attempt}, after {counts}"] if counts else []


def _log(trial: Trial) -> list[str]:
    from tao_automl.cli import _words
    from tao_automl.tao import failure

    lines = failure.tail(trial.files.log)
    if not lines:
        return [f"{_words.path(trial.files.log)} ({'empty' if trial.is_finished else 'nothing yet'})"]
    path = _words.path(trial.files.log)
    if trial.is_finished and trial.reason:
        telling = trial.detail if trial.detail in lines else lines[-1]
        return [f"{path}; the line that counts:", f"  {telling}"]
    return [path] if trial.is_finished else [f"{path}; its last line:", f"  {lines[-1]}"]


def _changed(trial: Trial, study: Study) -> dict[str, tuple[Any, Any]]:
    """Path → (default, value) where this trial does not run with trial 0's value."""
    defaults = study.defaults.params if study.defaults else {}
    return {path: (defaults.get(path), value) for path, value in trial.params.items() if defaults.get(path) != value}


def _document(trial: Trial, study: Study, earlier: Sequence[Attempt], spec: bool) -> dict[str, Any]:
    from tao_automl.tao import spec as spec_file

    changed = {path: {"default": before, "value": now} for path, (before, now) in _changed(trial, study).items()}
    shown = {"spec": spec_file.load(trial.files.spec.read_text(encoding="utf-8"))} if spec else {}
    return {
        "schema": 1,
        "study": study.name,
        **trial.as_dict(),
        "changed": changed,
        "attempts": [{"attempt": each, "reason": reason, "detail": detail} for each, reason, detail in earlier],
        "log": str(trial.files.log),
        "run_sh": str(trial.files.run_sh),
        **shown,
    }
