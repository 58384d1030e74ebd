"""A job: one command with its spec in a folder of its own. A training trial and an export are both jobs."""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Mount:
    """A folder of the node, seen by the job at another path."""

    host: str
    container: str
    read_only: bool = True


@dataclass(frozen=True)
class JobSpec:
    """What to run and with what. `id` is the idempotency key: submitting it again attaches.

    `folder` (absolute) holds the spec, the log and everything the job leaves. `env` is only what is set for the
    job, beyond the clean environment that its runtime gives it.
    """

    id: str
    action: str
    image: str
    command: tuple[str, ...]
    folder: Path
    runtime: str
    mounts: tuple[Mount, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    gpus: int = 0
    cpus: float = 1.0
    shm_bytes: int | None = None
    timeout_s: float | None = None

    def to_json(self) -> str:
        """The content of job.json."""
        values = {**dataclasses.asdict(self), "folder": str(self.folder), "env": dict(self.env)}
        return json.dumps(values, indent=2)

    @classmethod
    def from_json(cls, text: str) -> JobSpec:
        """Raises:
        ValueError, TypeError, KeyError: the text is not what `to_json` writes.
        """
        values: dict[str, Any] = json.loads(text)
        values["command"] = tuple(values["command"])
        values["mounts"] = tuple(Mount(**mount) for mount in values["mounts"])
        values["folder"] = Path(values["folder"])
        return cls(**values)


class Phase(str, Enum):
    """Where a job is. What an exit code means is not said here."""

    UNKNOWN = "unknown"  # never submitted, as far as anybody knows
    PENDING = "pending"
    RUNNING = "running"
    EXITED = "exited"


@dataclass(frozen=True)
class JobStatus:
    """What is known of a job. Times are seconds since 1970.

    An exited job without an exit code was lost: its supervisor or its machine died.
    """

    id: str
    phase: Phase
    exit_code: int | None = None
    started_at_s: float | None = None
    ended_at_s: float | None = None
    node: str | None = None
    pid: int | None = None


def run_sh(job: JobSpec, command: tuple[str, ...]) -> str:
    """A shell script that runs the job by hand, with the command its runtime would run."""
    lines = ["#!/bin/sh", f"# {job.action}: what job {job.id} runs", "set -e", f"cd {shlex.quote(str(job.folder))}"]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in sorted(job.env.items())]
    lines.append("exec " + shlex.join(command))
    return "\n".join(lines) + "\n"
