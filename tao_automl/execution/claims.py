"""The jobs that are processes of this node: one small file each, so that they are found again by their study
and their GPUs are known to whoever starts the next one. Secrets and environments are not in it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from tao_automl.execution import gpus
from tao_automl.execution.runtimes import supervisor


@dataclass(frozen=True)
class Claim:
    """A job of this node. `share` is what it takes of each of its `gpus`.

    `starter` with its start time and boot is the process that is about to start it: until there is a supervisor,
    the claim counts while that one lives.
    """

    job: str
    study: str
    folder: str
    gpus: tuple[str, ...] = ()
    share: float = 1.0
    starter: int = 0
    started: str | None = None
    boot: str = ""

    def alive(self) -> bool:
        """Whether the job runs, or is about to be started."""
        if Path(self.folder, "exit.json").exists():  # its supervisor may be about to leave
            return False
        owner = supervisor.owner(Path(self.folder))
        if owner is not None:
            return supervisor.alive(owner)
        known = self.started is not None and self.boot == supervisor.boot_id()
        return known and supervisor.start_time(self.starter) == self.started


def make(job: str, study: str, folder: Path, ids: tuple[str, ...], share: float) -> Claim:
    """A claim of this process, on disk.

    Raises:
        OSError: it cannot be written.
    """
    mine = os.getpid()
    claim = Claim(job, study, str(folder), ids, share, mine, supervisor.start_time(mine), supervisor.boot_id())
    supervisor.write(_path(folder), dataclasses.asdict(claim))
    return claim


def of(folder: Path) -> Claim | None:
    """The claim of the job in a folder."""
    return _read(_path(folder))


def drop(folder: Path) -> None:
    """Forget a job."""
    _path(folder).unlink(missing_ok=True)


def every() -> tuple[Claim, ...]:
    """All claims of this node and user. Those whose folder is gone are forgotten."""
    found = []
    for path in sorted(_folder().glob("*.json")):
        claim = _read(path)
        if claim is not None and Path(claim.folder).is_dir():
            found.append(claim)
        elif claim is not None:
            path.unlink(missing_ok=True)
    return tuple(found)


def held() -> tuple[dict[str, float], dict[str, str]]:
    """What the living jobs have of each GPU, and the job that has it."""
    taken: dict[str, float] = {}
    holders: dict[str, str] = {}
    for claim in every():
        if claim.gpus and claim.alive():
            for gpu in claim.gpus:
                taken[gpu] = taken.get(gpu, 0.0) + claim.share
                holders[gpu] = claim.job
    return taken, holders


def _folder() -> Path:
    folder = gpus.here() / "jobs"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _path(folder: Path) -> Path:
    return _folder() / f"{hashlib.sha256(str(folder).encode()).hexdigest()[:24]}.json"


def _read(path: Path) -> Claim | None:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return Claim(**{**values, "gpus": tuple(values["gpus"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None
