"""The report of a study: one HTML file that needs nothing else, with what `best` and `status` say, and pictures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from tao_automl.report import Study, Trial
from tao_automl.search.confirm import CONFIRM
from tao_automl.search.importance import Importances
from tao_automl.search.optimism import Estimate

_WIDTH, _HEIGHT, _MARGIN = 640, 260, 56
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f23}
h1{font-size:1.6rem}h2{font-size:1.15rem;margin-top:2rem}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.25rem .6rem;border-bottom:1px solid #e4e7eb}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}.bar{background:#4c8bf5;height:.8rem}
svg text{font-size:11px;fill:#57606a}code{background:#f3f4f6;padding:0 .25rem}
"""

Point = tuple[float, float, str, bool]  # x, y, what it is, whether it stands out


def html(study: Study, judged: Importances, expected: Estimate | None) -> str:
    """The whole page."""
    parts = [f"<h1>{escape(study.name)}</h1>", _facts(study, expected)]
    if study.pareto and len(study.objectives) > 1:
        parts += ["<h2>Pareto set</h2>", _pareto(study), _members(study)]
    parts += ["<h2>Trials</h2>", _history(study), "<h2>What mattered</h2>", _importances(judged), _trials(study)]
    head = f'<meta charset="utf-8"><title>{escape(study.name)}</title><style>{_STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n' + "\n".join(parts) + "\n</body></html>\n"


def _facts(study: Study, expected: Estimate | None) -> str:
    goal = ", ".join(f"{metric.direction.value} {metric.name}" for metric in study.objectives)
    rows = [("Model", study.model), ("Goal", goal), ("Constraints", " and ".join(study.constraints))]
    rows += [("State", study.state), ("Ended", study.ended)]
    won = study.winner
    if won is not None:
        by = f" by {study.eval_action}" if study.eval_action else ""
        rows.append(("Best", f"{won.metric} {_number(won.value)}{by}: trial {won.trial}, epoch {won.epoch}"))
    if study.defaults is not None and study.defaults.value is not None:
        rows.append(("Defaults", f"{study.metric.name} {_number(study.defaults.value)} (trial 0)"))
    if study.baseline.get("value") is not None:
        rows.append(("Baseline", f"{_number(study.baseline['value'])} (the starting checkpoint)"))
    if expected is not None:
        text = f"{_number(expected.value)} give or take {_number(expected.error)} when it is trained again"
        rows.append(("Expected", f"{text}; noise {_number(expected.noise)}, seen between {expected.source}"))
    for item in study.confirmed:
        spread = f"{_number(min(item.values))} to {_number(max(item.values))}"
        rows.append(("Confirmed", f"trial {item.trial}: mean {_number(item.mean)} of {len(item.values)}, {spread}"))
    numbers = {name: value for name, value in study.evaluation.items() if isinstance(value, float)}
    rows.append(("Evaluated", ", ".join(f"{name} {_number(value)}" for name, value in numbers.items())))
    shown = [f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in rows if text]
    return "<table>" + "".join(shown) + "</table>"


def _history(study: Study) -> str:
    """Each trial's value by its number, and the best so far."""
    kept = [trial for trial in study.trials if trial.value is not None and trial.state != "FAIL"]
    best = study.winner.trial if study.winner else None
    points = [(float(trial.number), trial.value or 0.0, _label(trial), trial.number == best) for trial in kept]
    return _plot(points, ("trial", study.metric.name), _steps(points, up=study.metric.maximizes))


def _steps(points: Sequence[Point], *, up: bool) -> list[tuple[float, float]]:
    line: list[tuple[float, float]] = []
    for x, y, _, _ in points:
        best = y if not line else max(line[-1][1], y) if up else min(line[-1][1], y)
        line += [(x, line[-1][1])] if line else []
        line.append((x, best))
    return line


def _pareto(study: Study) -> str:
    """Trials of the search in the first two metrics; those of the set stand out."""
    first, second = study.objectives[:2]
    inside = {won.trial for won in study.pareto}
    points = [
        (trial.measured[second.name], trial.value, _label(trial), trial.number in inside)
        for trial in study.trials
        if trial.value is not None and second.name in trial.measured and trial.kind != CONFIRM
    ]
    return _plot(points, (second.name, first.name))


def _members(study: Study) -> str:
    names = [metric.name for metric in study.objectives]
    rows = []
    for won in study.pareto:
        known = {**study.trial(won.trial).measured, won.metric: won.value}
        rows.append([str(won.trial), *(_number(known[name]) for name in names)])
    return _table(["trial", *names], rows)


def _plot(points: Sequence[Point], axes: tuple[str, str], line: Iterable[tuple[float, float]] = ()) -> str:
    """A scatter plot; the label of a point shows when the mouse is over it."""
    if not points:
        return "<p>There is nothing to show yet.</p>"
    spans = _span([point[0] for point in points]), _span([point[1] for point in points])

    def place(x: float, y: float) -> tuple[float, float]:
        across, up = ((value - low) / (high - low) for value, (low, high) in zip((x, y), spans, strict=True))
        return _MARGIN + across * (_WIDTH - 2 * _MARGIN), _HEIGHT - _MARGIN - up * (_HEIGHT - 2 * _MARGIN)

    drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*pair) for pair in line))
    out = [f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(axes[1])} by {escape(axes[0])}">']
    out.append(f'<polyline points="{drawn}" fill="none" stroke="#9aa4b2"/>' if drawn else "")
    for x, y, label, bold in points:
        across, down = place(x, y)
        colour, size = ("#d1432f", 5) if bold else ("#4c8bf5", 3.5)
        dot = f'<circle cx="{across:.1f}" cy="{down:.1f}" r="{size}" fill="{colour}">'
        out.append(f"{dot}<title>{escape(label)}</title></circle>")
    (left, right), (low, high) = spans
    ends = [(_MARGIN, _HEIGHT - 28, left, "start"), (_WIDTH - _MARGIN, _HEIGHT - 28, right, "end")]
    ends += [(_MARGIN - 6, _HEIGHT - _MARGIN, low, "end"), (_MARGIN - 6, _MARGIN, high, "end")]
    out += [f'<text x="{x}" y="{y}" text-anchor="{side}">{value:.3g}</text>' for x, y, value, side in ends]
    out.append(f'<text x="{_WIDTH / 2}" y="{_HEIGHT - 10}" text-anchor="middle">{escape(axes[0])}</text>')
    out.append(f'<text x="{_MARGIN}" y="20">{escape(axes[1])}</text></svg>')
    return "".join(out)


def _span(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _importances(judged: Importances) -> str:
    if judged.missing:
        return f"<p>That is not known yet: {judged.missing} more trials that end well would say.</p>"
    rows = [
        f"<tr><td><code>{escape(path)}</code></td><td class=n>{share:.0%}</td>"
        f'<td style="width:50%"><div class=bar style="width:{100 * share:.1f}%"></div></td></tr>'
        for path, share in judged.shares.items()
    ]
    return f"<p>By {judged.method} from {judged.trials} trials.</p><table>{''.join(rows)}</table>"


def _trials(study: Study) -> str:
    measured = list(dict.fromkeys(name for trial in study.trials for name in trial.measured))
    paths = list(dict.fromkeys(path for trial in study.trials for path in trial.params))
    rows = [
        [
            str(trial.number),
            "infeasible" if trial.infeasible else trial.state.lower(),
            _number(trial.value),
            *(_number(trial.measured.get(name)) for name in measured),
            *(str(trial.params.get(path, "")) for path in paths),
        ]
        for trial in study.trials
    ]
    table = _table(["trial", "state", study.metric.name, *measured, *paths], rows)
    return f'<h2>All trials</h2><div style="overflow-x:auto">{table}</div>'


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th class=n>{escape(title)}</th>" for title in titles)
    body = "".join("<tr>" + "".join(f"<td class=n>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _label(trial: Trial) -> str:
    return f"trial {trial.number}: {_number(trial.value)}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
