"""Reading a trial's log while it grows."""

from __future__ import annotations

import re
from pathlib import Path

import click

_END = re.compile(r"\r\n|\r|\n")
_CONTROL = dict.fromkeys((*range(9), *range(11, 32), 127))


class LogReader:
    """The lines of a log as it grows. Each step of a progress bar is a line of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._half = ""

    def read(self) -> list[str]:
        """New lines, without colours and blank lines; a line without its end waits for the next call."""
        try:
            with self._path.open("rb") as stream:
                stream.seek(self._offset)
                raw = stream.read()
        except FileNotFoundError:
            return []
        self._offset += len(raw)
        *whole, self._half = _END.split(self._half + raw.decode("utf-8", "replace"))
        return _clean(whole)

    def rest(self) -> list[str]:
        """The line that has no end yet."""
        half, self._half = self._half, ""
        return _clean([half])


def _clean(lines: list[str]) -> list[str]:
    plain = (click.unstyle(line).translate(_CONTROL).rstrip() for line in lines)
    return [line for line in plain if line]
