"""The winner of a study in text: for `best`, and for the end of a run."""

from __future__ import annotations

from rich.text import Text

from tao_automl.cli import _words
from tao_automl.cli._tables import Column, Table, facts
from tao_automl.report import Study
from tao_automl.results import Winner


def summary(study: Study, won: Winner) -> list[Text]:
    """The best trial, its value beside the defaults', its checkpoint and spec."""
    link = study.paths.best / won.checkpoint.name if won.checkpoint else None
    shown = link if link is not None and link.exists() else won.checkpoint
    spec = study.paths.best_spec if study.paths.best_spec.exists() else won.attempt.spec
    return facts(
        [
            ("Best", f"trial {won.trial} of {len(study.trials)}, epoch {won.epoch} (counted from 0)"),
            (won.metric, f"{_words.metric(won.value)}{_against_defaults(study, won)}"),
            ("Checkpoint", _words.path(shown) if shown else "gone: a later trial's took its place"),
            ("Spec", _words.path(spec) if spec.exists() else None),
        ]
    )


def _against_defaults(study: Study, won: Winner) -> str:
    defaults = study.defaults
    if won.trial == 0:
        return ": the model's defaults are the best so far"
    if defaults is None or defaults.value is None or defaults.state == "FAIL":
        return ""
    return f"; the defaults (trial 0) reach {_words.metric(defaults.value)}"


def parameters(study: Study, won: Winner, width: int) -> list[Text]:
    """Its parameters beside the defaults."""
    defaults = study.defaults.params if study.defaults else {}
    rows = [
        [path, _words.value(defaults[path]) if path in defaults else "", _words.value(value)]
        for path, value in won.params.items()
    ]
    if not rows:
        return []
    columns = [Column("PARAMETER"), Column("DEFAULT", right=True), Column("BEST", right=True)]
    return Table(columns, rows).lines(width)


def next_step(study: Study) -> str:
    return f"Next: tao-automl action evaluate {study.name}"
