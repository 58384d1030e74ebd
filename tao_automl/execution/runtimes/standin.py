"""The embedded trainer: the contract of a TAO container, on a CPU, as a process of this node."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tao_automl.errors import PlatformError
from tao_automl.execution.job import JobSpec
from tao_automl.execution.runtimes import Probe
from tao_automl.execution.runtimes.process import ProcessRuntime

TRAINER = (sys.executable, "-m", "tao_automl.standin")


def make() -> StandinRuntime:
    return StandinRuntime()


class StandinRuntime(ProcessRuntime):
    """The process runtime with the embedded trainer's command in front of the job's."""

    def command(self, job: JobSpec) -> tuple[str, ...]:
        return (*TRAINER, *job.command)

    def prepare(self, job: JobSpec, say: Callable[[str], None]) -> None:
        """Nothing: the trainer comes with this package."""

    def probe(self) -> Probe:
        found = super().probe()
        return Probe(True, "the embedded trainer runs here, on the CPU") if found.ok else found


def sample_data(folder: Path, form: str | None = None) -> tuple[Path, ...]:
    """Make the synthetic shapes set in `folder` (train/ and val/), unless it is there.

    Args:
        form: coco, or odvg for models that are told in words what to find.

    Returns the folders that were made, the innermost first; none if it was there.

    Raises:
        PlatformError: it cannot be made; the folder is left as it was.
    """
    if folder.exists():
        return ()
    missing: tuple[Path, ...] = (folder, *(path for path in folder.parents if not path.exists()))
    fresh = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            [*TRAINER, "shapes", str(fresh), *(["--odvg"] if form == "odvg" else [])],
            check=True,
            capture_output=True,
            text=True,
        )
        fresh.rename(folder)
    except subprocess.CalledProcessError as error:
        said = error.stderr.strip().splitlines()
        raise PlatformError(f"the sample data cannot be made: {said[-1] if said else error}") from None
    except OSError as error:
        if not folder.exists():
            raise PlatformError(
                f"the sample data cannot be written to {folder}: {error.strerror}",
                tip="name another place with --studies-dir",
            ) from None
        missing = ()  # another process was faster
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return missing
