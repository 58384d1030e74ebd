"""The terminal under test: an empty working directory, 100 columns, no colour."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tao_automl import cli


@dataclass(frozen=True)
class Said:
    """What a command line printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON object of stdout."""
        assert self.out.count("\n") == 1, self.out
        return json.loads(self.out)


Type = Callable[..., Said]


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("TAO_AUTOML_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Type:
    """A command line in this process: the function that the console script calls."""

    def run(*args: str) -> Said:
        capsys.readouterr()
        code = cli.execute(args)
        printed = capsys.readouterr()
        return Said(code, printed.out, printed.err)

    return run


@pytest.fixture
def script() -> Type:
    """A command line in a process of its own."""

    def run(*args: str, **options: Any) -> Said:
        done = subprocess.run(
            [sys.executable, "-m", "tao_automl", *args],
            capture_output=True,
            text=True,
            check=False,
            **options,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def files_below() -> Callable[[Path], dict[str, bytes]]:
    """Every file below a folder with its content, to see that nothing has changed."""

    def read(folder: Path) -> dict[str, bytes]:
        found = sorted(path for path in folder.rglob("*") if path.is_file())
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}

    return read
