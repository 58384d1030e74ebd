"""The command line as a user has it: real processes, a real local Ray, the real stand-in trainer."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tao_automl.layout import StudiesPaths
from tao_automl.standin import shapes
from tests.e2e.containers import Diary, Lab, make_data
from tests.engine import Engine

QUICK = {"STANDIN_STEPS": "3"}  # batches an epoch


@dataclass(frozen=True)
class Cli:
    """Runs `tao-automl` in a folder of its own."""

    folder: Path

    @property
    def studies(self) -> Path:
        return self.folder / "studies"

    def environment(self, **extra: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TAO_AUTOML_")}
        once = {"TAO_AUTOML_FINAL_EVALUATION": "off"}  # one test has it; in all others it would only take time
        return {**kept, **QUICK, **once, "NO_COLOR": "1", "COLUMNS": "100", **extra}

    def start(self, *words: str, **extra: str) -> subprocess.Popen[str]:
        """A driver in the background, in a process group of its own, as a terminal starts it."""
        return subprocess.Popen(
            [sys.executable, "-m", "tao_automl", *words],
            cwd=self.folder,
            env=self.environment(**extra),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def __call__(self, *words: str, code: int = 0, **extra: str) -> str:
        """Run to the end; returns stdout."""
        process = self.start(*words, **extra)
        out, err = process.communicate(timeout=280)
        assert process.returncode == code, f"{' '.join(words)}: exit {process.returncode}\n{out}\n{err}"
        return out

    def json(self, *words: str, code: int = 0) -> Any:
        return json.loads(self(*words, "--json", code=code))


@pytest.fixture(scope="session")
def few_shapes(tmp_path_factory: pytest.TempPathFactory) -> StudiesPaths:
    """A studies folder with a fifth of the embedded trainer's data. A run makes all of it, and captions, by itself."""
    paths = StudiesPaths(tmp_path_factory.mktemp("few"))
    shapes.write(paths.sample_data("coco"), train=48, val=16)
    return paths


@pytest.fixture
def cli(tmp_path: Path, few_shapes: StudiesPaths) -> Cli:
    made = Cli(tmp_path)
    shutil.copytree(few_shapes.folder, made.studies)
    return made


@pytest.fixture(scope="module")
def module_cli(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    return Cli(tmp_path_factory.mktemp("e2e"))


@pytest.fixture
def processes_of() -> Callable[[Path], list[str]]:
    """Command lines of processes that name a folder."""

    def find(folder: Path) -> list[str]:
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                command = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(folder) in command and int(path.parent.name) != os.getpid():
                found.append(command)
        return found

    return find


@pytest.fixture(scope="module")
def lab(module_cli: Cli, engine: Engine) -> Iterator[Lab]:
    """Studies in containers. `engine` runs them; nothing may be left on it."""
    diary = Diary(engine.address)
    diary.start()
    lab = Lab(module_cli, engine, diary, make_data(module_cli.folder / "data"))
    yield lab
    for driver in lab.drivers:
        driver.kill()
    diary.close()
    left = lab.containers()
    engine.remove_all()
    assert left == []
