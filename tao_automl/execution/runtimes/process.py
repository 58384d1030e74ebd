"""Jobs as processes of this node: TAO's own command on the PATH, as inside a TAO container.

A job runs under a supervisor (supervisor.py) that outlives whoever started it. All that is known of a job is
in its folder, so any process may attach to it, watch it and stop it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tao_automl.errors import PlatformError
from tao_automl.execution.job import JobSpec, JobStatus, Phase
from tao_automl.execution.runtimes import Probe, supervisor

START_TIMEOUT_S = 20.0

# What a job must not inherit: Ray's and torch's own variables change what TAO does (a WORLD_SIZE rewrites the
# spec, a JOB_ID makes it look for a log folder), and the driver's secrets are none of its business.
_NOT_INHERITED = re.compile(
    r"RAY_.*|WORLD_SIZE|RANK|LOCAL_RANK|NODE_RANK|GROUP_RANK|LOCAL_WORLD_SIZE|MASTER_.*|TORCHELASTIC_.*|JOB_ID"
    r"|CLOUD_BASED|EARLY_STOP_EPOCH|NUM_GPU_PER_NODE|CUDA_VISIBLE_DEVICES|TAO_AUTOML_.*|AWS_.*|NGC_.*"
    r"|.*(TOKEN|API_?KEY|PASSWORD|PASSWD|SECRET|CREDENTIAL).*"
)
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def make() -> ProcessRuntime:
    return ProcessRuntime()


class ProcessRuntime:
    """Runs jobs as process groups under a supervisor."""

    def command(self, job: JobSpec) -> tuple[str, ...]:
        return job.command

    def attach_or_start(self, job: JobSpec) -> JobStatus:
        """Raises:
        PlatformError: the folder cannot be written, or the supervisor did not start.
        """
        state = self.poll(job)
        if state.phase is not Phase.UNKNOWN:
            return state
        try:
            self._start(job)
        except (OSError, subprocess.CalledProcessError) as error:
            raise PlatformError(f"job {job.id} cannot be started: {error}", tip=f"look at {job.folder}") from None
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline_s:
            state = self.poll(job)
            if state.phase is not Phase.UNKNOWN:
                return state
            time.sleep(0.01)
        raise PlatformError(f"job {job.id} did not start within {START_TIMEOUT_S:.0f} s", tip=f"look at {job.folder}")

    def poll(self, job: JobSpec) -> JobStatus:
        node = socket.gethostname()
        ended = _read(job.folder / "exit.json")
        if ended is not None:
            return JobStatus(
                job.id,
                Phase.EXITED,
                exit_code=ended["exit_code"],
                started_at_s=ended["started_at_s"],
                ended_at_s=ended["ended_at_s"],
                node=node,
            )
        claimed = (job.folder / "pid.json").exists()
        owner = _read(job.folder / "pid.json")
        if owner is None:  # the file comes whole: one that cannot be read was damaged, with its machine
            return JobStatus(job.id, Phase.EXITED if claimed else Phase.UNKNOWN)
        if _alive(owner, "supervisor", "started") or _alive(owner, "job", "job_started"):
            began_s = (job.folder / "pid.json").stat().st_mtime
            return JobStatus(job.id, Phase.RUNNING, started_at_s=began_s, node=node, pid=owner.get("job"))
        ended = _read(job.folder / "exit.json")  # written between the two looks
        return self.poll(job) if ended is not None else JobStatus(job.id, Phase.EXITED, node=node)

    def stop(self, job: JobSpec, grace_s: float) -> None:
        if job.folder.is_dir():
            supervisor.write(job.folder / "stop.json", {"kill_at_s": time.time() + grace_s})
        owner = _read(job.folder / "pid.json")
        if owner and not _alive(owner, "supervisor", "started") and _alive(owner, "job", "job_started"):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(owner["job"], signal.SIGKILL)  # nobody is left who would wait out the grace

    def remove(self, job: JobSpec) -> None:
        if self.poll(job).phase is Phase.EXITED:
            for name in ("pid.json", "exit.json", "start.json", "stop.json"):
                (job.folder / name).unlink(missing_ok=True)

    def probe(self) -> Probe:
        if not Path("/proc/self/stat").exists():
            return Probe(False, "there is no /proc on this machine", "use Linux, or run inside a container")
        return Probe(True, "jobs run as processes of this machine")

    def _start(self, job: JobSpec) -> None:
        job.folder.mkdir(parents=True, exist_ok=True)
        supervisor.write(job.folder / "start.json", {"command": self.command(job), "timeout_s": job.timeout_s})
        starter = [sys.executable, "-I", "-S", supervisor.__file__, str(job.folder)]
        subprocess.run(starter, check=True, stdin=subprocess.DEVNULL, env=self._environment(job))

    def _environment(self, job: JobSpec) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not _NOT_INHERITED.fullmatch(name)}
        threads = dict.fromkeys(_THREADS, str(max(1, int(job.cpus))))
        return {**kept, **threads, "TELEMETRY_OPT_OUT": "1", **job.env}


def _read(path: Path) -> dict[str, Any] | None:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return values if isinstance(values, dict) else None


def _alive(owner: dict[str, Any], pid: str, started: str) -> bool:
    """A pid alone may be somebody else's by now: the start time and the boot must be the same."""
    if owner.get(pid) is None or owner.get("boot") != supervisor.boot_id():
        return False
    began = supervisor.start_time(owner[pid])
    return began is not None and began == owner.get(started)
