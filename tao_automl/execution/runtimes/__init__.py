"""What starts a job on one node. The file's name is the runtime's name."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, cast

from tao_automl.errors import UsageError, near
from tao_automl.execution.job import JobSpec, JobStatus, Site

_NO_RUNTIMES = {"supervisor"}
NOTHING = Site()


@dataclass(frozen=True)
class Probe:
    """Whether a runtime can work on this node, in one sentence, and what to do if not."""

    ok: bool
    detail: str
    tip: str = ""


class Runtime(Protocol):
    """Starts, watches and stops jobs on the node it is made on. Keeps nothing: the job's folder says all."""

    def command(self, job: JobSpec) -> tuple[str, ...]:
        """The command that is really run, for run.sh."""
        ...

    def attach_or_start(self, job: JobSpec, site: Site = NOTHING) -> JobStatus:
        """Start the job, or attach to it if it was started before: twice is once.

        Never more jobs on a GPU than it has room for: without a free one the job is PENDING, with the reason.
        """
        ...

    def poll(self, job: JobSpec) -> JobStatus:
        """Where the job is. Never raises for a folder that is not there."""
        ...

    def stop(self, job: JobSpec, grace_s: float) -> None:
        """Ask the job to end, and end it after `grace_s`. Returns at once."""
        ...

    def remove(self, job: JobSpec) -> None:
        """Forget an exited job's bookkeeping. Its log and results stay."""
        ...

    def found(self, study: str) -> tuple[JobStatus, ...]:
        """The jobs of a study that this node knows of, running or ended, whoever started them."""
        ...

    def end(self, job_id: str) -> None:
        """Stop and remove a job that is known by its id only: an orphan."""
        ...

    def prepare(self, job: JobSpec, say: Callable[[str], None]) -> None:
        """Get ready on this node what jobs like this one need, such as their image; `say` tells the progress.

        Raises:
            PlatformError: it cannot be had.
        """
        ...

    def probe(self) -> Probe:
        """Whether jobs can run here."""
        ...


def names() -> tuple[str, ...]:
    """Names for `--runtime`, sorted."""
    found = (module.name for module in pkgutil.iter_modules(__path__))
    return tuple(sorted(name for name in found if name not in _NO_RUNTIMES))


def by_name(name: str) -> Runtime:
    """A runtime.

    Raises:
        UsageError: there is none of that name.
    """
    if name not in names():
        raise UsageError(f"there is no runtime '{name}'", tip=near(name, names()))
    return cast("Runtime", importlib.import_module(f"{__name__}.{name}").make())
