"""Where everything lies: every path is a property here, and nothing else builds one.

```
studies/studies.db                                Optuna's storage
studies/data/                                     data made or unpacked here, shared by the studies
studies/<study>/study.yaml events.jsonl lock      what was asked, what happened, who drives it
                pins.json                         which content of an object store it reads
                trials/0008/attempt-1/            one training run: spec, job, log, status, checkpoints
                actions/export-001/               one downstream action, same shape
                best/                             spec, checkpoint link, metrics of the winner
```
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_INSTALLED = _PACKAGE / "_data"


def _shipped(name: str) -> Path:
    """A folder that ships beside the package in a checkout and inside it in a wheel."""
    inside = _INSTALLED / name
    return inside if inside.is_dir() else _PACKAGE.parent / name


def skills_dir() -> Path:
    """The models we ship; TAO_AUTOML_SKILLS_DIR names a folder that stands for them."""
    named = os.environ.get("TAO_AUTOML_SKILLS_DIR")
    return Path(named).expanduser().resolve() if named else _shipped("skills")


def configs_dir() -> Path:
    """Platforms and the JSON Schemas of the files users write."""
    return _shipped("configs")


def cache_dir(named: Path | None) -> Path:
    """What a node keeps of object stores: the named folder, else one of the user's, outside all studies."""
    home = os.environ.get("XDG_CACHE_HOME")
    return named or (Path(home) if home else Path.home() / ".cache") / "tao-automl"


@dataclass(frozen=True)
class AttemptPaths:
    """One run of one job: a training attempt or a downstream action."""

    folder: Path

    @property
    def spec(self) -> Path:
        return self.folder / "spec.yaml"

    def config(self, file_format: str) -> Path:
        """The spec as a command reads it: `spec.yaml`, or the same in another format beside it."""
        return self.folder / f"spec.{'yaml' if file_format == 'yml' else file_format}"

    @property
    def job(self) -> Path:
        return self.folder / "job.json"

    @property
    def run_sh(self) -> Path:
        return self.folder / "run.sh"

    @property
    def log(self) -> Path:
        return self.folder / "log.txt"

    @property
    def result(self) -> Path:
        """What a finished action has made."""
        return self.folder / "result.json"

    def status(self, action: str) -> Path:
        """TAO appends the action's name to `results_dir`."""
        return self.folder / action / "status.json"

    def scoring(self, number: int) -> AttemptPaths:
        """The action that scores this attempt of a trial."""
        return AttemptPaths(self.folder / f"score-{number}")

    def checkpoints(self, folder: str) -> Path:
        return self.folder / folder


@dataclass(frozen=True)
class StudyPaths:
    """The folder of one study."""

    folder: Path

    @property
    def study_file(self) -> Path:
        return self.folder / "study.yaml"

    @property
    def events(self) -> Path:
        return self.folder / "events.jsonl"

    @property
    def lock(self) -> Path:
        return self.folder / "lock"

    @property
    def pins(self) -> Path:
        return self.folder / "pins.json"

    @property
    def report(self) -> Path:
        """The page that `tao-automl report` writes."""
        return self.folder / "report.html"

    @property
    def baseline(self) -> AttemptPaths:
        """The evaluation of what every training starts from."""
        return AttemptPaths(self.folder / "baseline")

    @property
    def best(self) -> Path:
        return self.folder / "best"

    @property
    def best_spec(self) -> Path:
        return self.best / "spec.yaml"

    @property
    def best_metrics(self) -> Path:
        return self.best / "metrics.json"

    @property
    def trials(self) -> Path:
        return self.folder / "trials"

    @property
    def actions(self) -> Path:
        return self.folder / "actions"

    def trial(self, number: int) -> Path:
        return self.trials / f"{number:04d}"

    def attempt(self, number: int, attempt: int) -> AttemptPaths:
        return AttemptPaths(self.trial(number) / f"attempt-{attempt}")

    def attempts(self, number: int) -> Iterator[AttemptPaths]:
        """The attempts of a trial that are on disk, oldest first."""
        folders = self.trial(number).glob("attempt-*")
        for folder in sorted(folders, key=lambda path: int(path.name.removeprefix("attempt-"))):
            yield AttemptPaths(folder)

    def action(self, name: str) -> AttemptPaths:
        """One run of an action by its folder's name, such as export-001."""
        return AttemptPaths(self.actions / name)

    def action_folders(self) -> Iterator[Path]:
        yield from sorted(path for path in self.actions.glob("*-[0-9]*") if path.is_dir())

    def next_action(self, action: str) -> AttemptPaths:
        """A folder of its own for each run of an action: export-001, export-002 …"""
        ends = (path.name.removeprefix(f"{action}-") for path in self.actions.glob(f"{action}-[0-9]*"))
        taken = [int(end) for end in ends if end.isdecimal()]
        return self.action(f"{action}-{max(taken, default=0) + 1:03d}")

    def relative(self, path: Path) -> str:
        """A path inside the study, in the form that is stored: it survives moving the studies."""
        return path.relative_to(self.folder).as_posix()


@dataclass(frozen=True)
class StudiesPaths:
    """The folder that holds all studies."""

    folder: Path

    @property
    def database(self) -> Path:
        return self.folder / "studies.db"

    @property
    def storage_url(self) -> str:
        return f"sqlite:///{self.database}"

    def sample_data(self, form: str | None = None) -> Path:
        """The stand-in's own data, in the form that a model takes."""
        return self.folder / "data" / ("shapes-odvg" if form == "odvg" else "shapes")

    def study(self, name: str) -> StudyPaths:
        return StudyPaths(self.folder / name)

    def unpacked(self, archive: Path) -> Path:
        """Where an archive's content goes: a changed archive gets another folder.

        Raises:
            FileNotFoundError: there is no such archive.
        """
        stat = archive.stat()
        key = f"{archive.resolve()}\0{stat.st_size}\0{stat.st_mtime_ns}"
        digest = hashlib.sha256(key.encode()).hexdigest()[:12]
        return self.folder / "data" / f"{archive.name.split('.', 1)[0]}-{digest}"
