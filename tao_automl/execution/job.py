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
class Staged:
    """What a node brings from an object store before a job starts, and where a job finds it.

    `digest` says which content: it stands for keys, sizes and etags of all objects. The folder of `path` is named
    after it, so that a path never means another content. `kind` is file, folder or archive; an archive is a folder
    of images by then.
    """

    url: str
    kind: str
    digest: str
    size_bytes: int
    path: str


@dataclass(frozen=True)
class JobSpec:
    """What to run and with what. `id` is the idempotency key: submitting it again attaches.

    `folder` (absolute) holds the spec, the log and everything the job leaves. `study`, `trial` and `attempt` say
    whose job it is, so that it is found without anything that we remember.

    `env` is only what is set for the job, beyond the clean environment that its runtime gives it; `secrets` are
    names of variables whose values come with the submission (`Site.secrets`) and are written nowhere.

    `gpus` counts whole devices, or is a share of one below 1. With `nodes` above 1 there is one such job on each
    of so many nodes. `staged` is brought to a node before the job starts there. `avoid` names what it must not get,
    if there is anything else: `host` or `host/gpu`.
    """

    id: str
    action: str
    image: str
    command: tuple[str, ...]
    folder: Path
    runtime: str
    study: str = ""
    trial: int | None = None
    attempt: int | None = None
    mounts: tuple[Mount, ...] = ()
    staged: tuple[Staged, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    gpus: float = 0
    cpus: float = 1.0
    nodes: int = 1
    shm_bytes: int | None = None
    timeout_s: float | None = None
    image_policy: str = "missing"
    network: str | None = None
    avoid: tuple[str, ...] = ()

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
        values["staged"] = tuple(Staged(**item) for item in values["staged"])
        values["secrets"], values["avoid"] = tuple(values["secrets"]), tuple(values["avoid"])
        values["folder"] = Path(values["folder"])
        return cls(**values)


@dataclass(frozen=True)
class Site:
    """What a node gives a job: the ids of the GPUs that may be used there, and the values of secrets by name."""

    gpus: tuple[str, ...] = ()
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


class Phase(str, Enum):
    """Where a job is. What an exit code means is not said here."""

    UNKNOWN = "unknown"  # never submitted, as far as anybody knows
    PENDING = "pending"
    RUNNING = "running"
    EXITED = "exited"


@dataclass(frozen=True)
class JobStatus:
    """What is known of a job. Times are seconds since 1970.

    An exited job without an exit code was lost: its supervisor or its machine died, its container vanished, or
    it could not be started: then `error` says why. `gpus` are the ids of the devices it has. `waits` is why a
    pending job has not started, or why nothing new is known of a running one; it is over by itself.
    """

    id: str
    phase: Phase
    exit_code: int | None = None
    started_at_s: float | None = None
    ended_at_s: float | None = None
    node: str | None = None
    pid: int | None = None
    gpus: tuple[str, ...] = ()
    oom_killed: bool = False
    error: str | None = None
    waits: str | None = None


def run_sh(job: JobSpec, command: tuple[str, ...]) -> str:
    """A shell script that runs the job by hand, with the command its runtime would run."""
    lines = ["#!/bin/sh", f"# {job.action}: what job {job.id} runs", "set -e", f"cd {shlex.quote(str(job.folder))}"]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in sorted(job.env.items())]
    lines.append("exec " + shlex.join(command))
    return "\n".join(lines) + "\n"
