"""The only thing that prints: results to stdout, talk to stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from typing import Any

from rich.console import Console as RichConsole
from rich.text import Text

UNBOUNDED = 1_000_000  # the width of a pipe: whoever reads it does not want folded cells


class Console:
    """Both streams. Colour only on a terminal and never with NO_COLOR; COLUMNS overrides the width."""

    def __init__(self) -> None:
        self._out = _stream(stderr=False)
        self._err = _stream(stderr=True)

    def out(self, *lines: str | Text) -> None:
        """Lines of a result. Not wrapped: a terminal does that, and a program wants them whole."""
        for line in lines:
            self._out.print(line, soft_wrap=True)

    def say(self, *lines: str | Text) -> None:
        """What is not a result: hints, progress, warnings."""
        for line in lines:
            self._err.print(line, soft_wrap=True)

    def document(self, content: Mapping[str, Any]) -> None:
        """One JSON object on one line of stdout."""
        sys.stdout.write(json.dumps(content, allow_nan=False, default=str) + "\n")
        sys.stdout.flush()

    @property
    def live(self) -> RichConsole | None:
        """stderr, if a table can be drawn and redrawn there."""
        capable = self._err.is_terminal and not self._err.is_dumb_terminal
        return self._err if capable else None

    @property
    def width(self) -> int:
        """Columns that a table on stdout may use."""
        if not self._out.is_terminal and not os.environ.get("COLUMNS", "").isdigit():
            return UNBOUNDED
        return self._out.width

    @property
    def unicode(self) -> bool:
        return is_unicode(self._out)


def is_unicode(stream: RichConsole) -> bool:
    """Whether a stream can show more than ASCII."""
    return stream.encoding.lower().replace("-", "").startswith("utf")


def _stream(*, stderr: bool) -> RichConsole:
    return RichConsole(stderr=stderr, highlight=False, markup=False, emoji=False)
