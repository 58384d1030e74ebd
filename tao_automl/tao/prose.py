"""The metric that a skill's own text names: TAO states it in `SKILL.md` and nowhere else.

The text has a labelled line (`AutoML training metric: …`, `Monitoring metric: …`) and, near it or further
down, which way is better (`(maximize)`, `direction: maximize`). A direction is only taken where it is
written; it does not follow from a metric's name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_LABEL = re.compile(
    r"\b(?:automl (?:training )?|(?:pre)?training |train )?(?:monitor(?:ing)? )?metrics?\W*:\W*?(.+)", re.I
)
_RANK = ("automl", "training", "monitor")  # which label counts most
_CODE = re.compile(r"`([^`]+)`")
_END = re.compile(r"[,;(]|\.(?:\s|$)|\s(?:for|with|when|from|if|and|or|in|by|on)\s")
_DIRECTION = re.compile(r"\b(maximi[sz]e|minimi[sz]e)\b", re.I)
_STATED = re.compile(r"direction\W{0,6}(maximi[sz]e|minimi[sz]e)\b", re.I)
_OTHER = re.compile(r"evaluat|standalone|deploy|inference", re.I)


@dataclass(frozen=True)
class Named:
    """A metric as the text names it. `direction` is 'maximize' or 'minimize', None if no text says it."""

    name: str
    direction: str | None


def metric(folder: Path) -> Named | None:
    """The metric of training that the texts of a skill folder name, or None."""
    texts = list(_texts(folder))
    found = next((named for text in texts if (named := read(text)) is not None), None)
    if found is None or found.direction is not None:
        return found
    directions = {_word(match[1]) for text in texts for match in _STATED.finditer(text)}
    return Named(found.name, directions.pop()) if len(directions) == 1 else found


def read(text: str) -> Named | None:
    """The metric that one text names: the best labelled line counts."""
    found = [(rank, named) for line in text.splitlines() if (rank := _rank(line)) is not None and (named := _of(line))]
    if not found:
        return None
    named = min(found, key=lambda item: item[0])[1]
    if named.direction is None:
        return Named(named.name, _direction_of(named.name, text))
    return named


def _texts(folder: Path) -> Iterator[str]:
    """SKILL.md, then the texts beside it that are not about deployment."""
    for path in (folder / "SKILL.md", *sorted((folder / "references").glob("*.md"))):
        if "deploy" not in path.name and path.is_file():
            yield path.read_text(encoding="utf-8", errors="replace")


def _rank(line: str) -> int | None:
    match = _LABEL.search(line)
    if not match:
        return None
    label = line[: match.start(1)]
    if _OTHER.search(label):
        return None
    return next((place for place, word in enumerate(_RANK) if word in label.lower()), None)


def _of(line: str) -> Named | None:
    match = _LABEL.search(line)
    assert match is not None
    said = match[1].strip(" *")
    code = _CODE.match(said)
    name = code[1] if code else _END.split(said, maxsplit=1)[0]
    name = name.strip(" *`\"'.").strip()
    if not name or len(name) > 60:
        return None
    direction = _DIRECTION.search(said)
    return Named(name, _word(direction[1]) if direction else None)


def _direction_of(name: str, text: str) -> str | None:
    """What the text says behind a mention of the metric: `optimize X with direction: maximize`."""
    behind = re.compile(rf"`{re.escape(name)}`[^`]{{0,60}}`?direction\W{{0,6}}(maximi[sz]e|minimi[sz]e)\b", re.I)
    match = behind.search(text)
    return _word(match[1]) if match else None


def _word(text: str) -> str:
    return text.lower().replace("mise", "mize")
