"""The winner of a study in text: for `best`, and for the end of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.text import Text

from tao_automl.cli import _words
from tao_automl.cli._tables import Column, Table, facts
from tao_automl.report import Study
from tao_automl.results import Winner
from tao_automl.search.importance import Importances
from tao_automl.search.optimism import Estimate


def summary(study: Study, won: Winner) -> list[Text]:
    """The best trial, its value beside the defaults', its checkpoint and spec."""
    link = study.paths.best / won.checkpoint.name if won.checkpoint else None
    shown = link if link is not None and link.exists() else won.checkpoint
    spec = study.paths.best_spec if study.paths.best_spec.exists() else won.attempt.spec
    return facts(
        [
            ("Best", f"trial {won.trial} of {len(study.trials)}, epoch {won.epoch} (counted from 0)"),
            (won.metric, f"{_words.metric(won.value)}{_scored(study)}{_against_defaults(study, won)}"),
            ("Baseline", _baseline(study, won)),
            ("Evaluated", _evaluated(study)),
            ("Confirmed", _confirmed(study)),
            ("Checkpoint", _words.path(shown) if shown else "gone: a later trial's took its place"),
            ("Spec", _words.path(spec) if spec.exists() else None),
        ]
    )


def _scored(study: Study) -> str:
    return f" by {study.eval_action}" if study.eval_action else ""


def _baseline(study: Study, won: Winner) -> str | None:
    """What the search is compared with, and its gain."""
    found = study.baseline
    if not found:
        return None
    value, of = found.get("value"), "the starting checkpoint"
    if found["of"] == "defaults":
        of = (
            "trial 0, the defaults: there is no checkpoint to start from"
            if not found["detail"]
            else str(found["detail"])
        )
        value = study.defaults.value if study.defaults else None
    if value is None:
        return of
    gain = won.value - value if study.metric.maximizes else value - won.value
    return f"{_words.metric(value)} ({of}); gain {_words.metric(gain)}"


def _evaluated(study: Study) -> str | None:
    """What the evaluate action reported of the winner."""
    numbers = {name: value for name, value in study.evaluation.items() if isinstance(value, float)}
    return ", ".join(f"{name} {_words.metric(value)}" for name, value in numbers.items()) or None


def _confirmed(study: Study) -> str | None:
    """What the winner's config was worth each time."""
    if not study.confirmed:
        return None
    lines = [
        f"trial {item.trial} and its repeats {', '.join(map(str, item.repeats))}: mean {_words.metric(item.mean)}, "
        f"{_words.metric(min(item.values))} to {_words.metric(max(item.values))}"
        for item in study.confirmed
    ]
    return "\n".join(lines)


def expected(found: Estimate | None) -> list[Text]:
    """What to expect of the winner's config when it is trained again."""
    if found is None:
        return []
    text = (
        f"{_words.metric(found.value)} give or take {_words.metric(found.error)}: the best of many was also lucky, "
        f"by {_words.metric(found.optimism)} (noise {_words.metric(found.noise)}, seen between {found.source})"
    )
    return facts([("Trained again", text)])


def pareto(study: Study, width: int) -> list[Text]:
    """Of several objectives: the trials that no other one beats in all of them."""
    if not study.pareto:
        return []
    others = [metric.name for metric in study.objectives[1:]]
    rows = [
        [
            str(won.trial),
            _words.metric(won.value),
            *(_words.metric(study.trial(won.trial).measured[name]) for name in others),
        ]
        for won in study.pareto
    ]
    titles = ["TRIAL", *(f"{metric.name} ({metric.direction.value[:3]})" for metric in study.objectives)]
    head = Text("Pareto set: no other trial is as good in all of these", style="bold")
    return [head, *Table([Column(title, right=True) for title in titles], rows).lines(width)]


def goal(study: Study) -> str:
    """What is searched for: `maximize val_mAP50, minimize train_time_s, with train_time_s<=3600`."""
    texts = ", ".join(f"{metric.direction.value} {metric.name}" for metric in study.objectives)
    return f"{texts}, with {' and '.join(study.constraints)}" if study.constraints else texts


def why_none(study: Study) -> str:
    """Why a study has no winner."""
    broken = [trial for trial in study.trials if trial.broken and trial.state == "COMPLETE"]
    if not broken:
        return f"study '{study.name}' has no result yet"
    return f"no trial of study '{study.name}' keeps to {' and '.join(study.constraints)}"


def document(study: Study, won: Winner) -> dict[str, Any]:
    """The form of `best --json`."""
    goals = [{"metric": metric.name, "direction": metric.direction.value} for metric in study.objectives]
    return {
        **won.as_dict(),
        "objectives": goals,
        "constraints": list(study.constraints),
        "eval_action": study.eval_action,
        "baseline": dict(study.baseline) or None,
        "evaluation": dict(study.evaluation) or None,
        "confirmed": [item.as_dict() for item in study.confirmed],
        "measured": dict(study.trial(won.trial).measured),
        "pareto": [_member(study, item) for item in study.pareto],
    }


def _member(study: Study, won: Winner) -> dict[str, Any]:
    known = {**study.trial(won.trial).measured, won.metric: won.value}
    shown = {
        name: value
        for name, value in won.as_dict().items()
        if name in ("trial", "epoch", "checkpoint", "spec", "params")
    }
    return {**shown, "values": {metric.name: known[metric.name] for metric in study.objectives}}


def _against_defaults(study: Study, won: Winner) -> str:
    defaults = study.defaults
    if won.trial == 0:
        return ": the model's defaults are the best so far"
    if defaults is None or defaults.value is None or defaults.state == "FAIL":
        return ""
    return f"; the defaults (trial 0) reach {_words.metric(defaults.value)}"


def parameters(study: Study, won: Winner, judged: Importances, width: int) -> list[Text]:
    """Its parameters beside the defaults, and how much each mattered; what mattered most comes first."""
    defaults = study.defaults.params if study.defaults else {}
    paths = sorted({*won.params, *judged.shares}, key=lambda path: (-judged.shares.get(path, 0.0), path))
    if not judged.shares:
        paths = list(won.params)
    rows = [[path, *_values(path, defaults, won.params), _share(judged.shares.get(path))] for path in paths]
    if not rows:
        return []
    titles = [Column("PARAMETER"), *(Column(title, right=True) for title in ("DEFAULT", "BEST", "MATTERS"))]
    return [*Table(titles, rows).lines(width), *_about(judged)]


def _values(path: str, *configs: Mapping[str, Any]) -> list[str]:
    return [_words.value(config[path]) if path in config else "" for config in configs]


def _share(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}".replace("%", " %")


def _about(judged: Importances) -> list[Text]:
    if judged.missing:
        more = f"{judged.missing} more trial{'s' if judged.missing > 1 else ''} that end well"
        return [Text(f"(how much each matters is not known yet: {more} would say)", style="dim")]
    return [Text(f"(what matters is judged by {judged.method} from {judged.trials} trials)", style="dim")]


def next_step(study: Study) -> str:
    """The command that comes next: what is evaluated can be exported."""
    return f"Next: tao-automl action {'export' if study.evaluation else 'evaluate'} {study.name}"
