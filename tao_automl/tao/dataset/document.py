"""JSON files of a dataset: read, and their mistakes named by line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tao_automl.errors import UsageError


def load(file: Path) -> dict[str, Any]:
    """The object that a JSON file holds.

    Raises:
        UsageError: the file is missing, cannot be read, or holds something else.
    """
    document = _parsed(_content(file), file, 1)
    if not isinstance(document, dict):
        raise bad(f"{file}: a JSON object is expected")
    return document


def lines(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a JSONL file with their line, from 1. Empty lines are passed over.

    Raises:
        UsageError: as `load`.
    """
    for number, line in enumerate(_content(file).splitlines(), start=1):
        if not line.strip():
            continue
        entry = _parsed(line, file, number)
        if not isinstance(entry, dict):
            raise bad(f"{file}:{number}: a JSON object is expected")
        yield number, entry


def bad(message: str, tip: str = "correct the file, or name other data") -> UsageError:
    """What is wrong with data that is there."""
    return UsageError(message, tip=tip, code="bad-data")


def refuse(cases: list[str], what: str, kind: str, tip: str) -> None:
    """Refuse if there is a case: the first is named, and how many there are.

    Raises:
        UsageError: there is.
    """
    if cases:
        count = f" ({len(cases)} such {kind})" if len(cases) > 1 else ""
        raise bad(f"{cases[0]} {what}{count}", tip=tip)


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        raise UsageError(
            f"{file} is missing", tip="name a directory with the annotations", code="data-missing"
        ) from None
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}", tip="is it a file that you may read?") from None


def _parsed(content: bytes, file: Path, first_line: int) -> Any:
    try:
        return json.loads(content)
    except json.JSONDecodeError as error:
        line = first_line + error.lineno - 1
        raise bad(f"{file}:{line}:{error.colno}: broken JSON: {error.msg}") from None
    except (ValueError, RecursionError) as error:
        raise bad(f"{file}: unreadable JSON: {error}") from None
