"""`--search` as the settings split it."""

from __future__ import annotations

from tao_automl.search.overrides import Choices, Range, parse_range


def parse_search(text: str) -> tuple[str, Range | Choices | None]:
    """Path and range of a flag."""
    path, equals, value = (part.strip() for part in text.partition("="))
    return path, parse_range(path, value if equals else None)
