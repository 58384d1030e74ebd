"""Jobs as processes of this node: TAO's own command on the PATH, as inside a TAO container.

A job runs under a supervisor (supervisor.py) that outlives whoever started it. All that is known of a job is
in its folder, so any process may attach to it, watch it and stop it.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tao_automl.errors import PlatformError
from tao_automl.execution import claims, gpus
from tao_automl.execution.job import JobSpec, JobStatus, Phase, Site
from tao_automl.execution.runtimes import NOTHING, Probe, supervisor

START_TIMEOUT_S = 20.0
END_TIMEOUT_S = 5.0

# What a job must not inherit: Ray's and torch's own variables change what TAO does (a WORLD_SIZE rewrites the
# spec, a JOB_ID makes it look for a log folder), and the driver's secrets are none of its business.
_NOT_INHERITED = re.compile(
    r"RAY_.*|WORLD_SIZE|RANK|LOCAL_RANK|NODE_RANK|GROUP_RANK|LOCAL_WORLD_SIZE|MASTER_.*|TORCHELASTIC_.*|JOB_ID"
    r"|CLOUD_BASED|EARLY_STOP_EPOCH|NUM_GPU_PER_NODE|CUDA_VISIBLE_DEVICES|NVIDIA_VISIBLE_DEVICES|TAO_AUTOML_.*|AWS_.*|NGC_.*"
    r"|.*(TOKEN|API_?KEY|PASSWORD|PASSWD|SECRET|CREDENTIAL).*"
)
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def make() -> ProcessRuntime:
    return ProcessRuntime()


class ProcessRuntime:
    """Runs jobs as process groups under a supervisor."""

    def command(self, job: JobSpec) -> tuple[str, ...]:
        return job.command

    def attach_or_start(self, job: JobSpec, site: Site = NOTHING) -> JobStatus:
        """Raises:
        PlatformError: the folder cannot be written, a secret has no value, or the supervisor did not start.
        """
        state = self.poll(job)
        if state.phase is not Phase.UNKNOWN:
            return state
        try:
            state = self._start(job, site)
        except (OSError, subprocess.CalledProcessError) as error:
            claims.drop(job.folder)
            raise PlatformError(f"job {job.id} cannot be started: {error}", tip=f"look at {job.folder}") from None
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while state.phase is Phase.UNKNOWN and time.monotonic() < deadline_s:
            time.sleep(0.01)
            state = self.poll(job)
        if state.phase is Phase.UNKNOWN:
            tip = f"look at {job.folder}"
            raise PlatformError(f"job {job.id} did not start within {START_TIMEOUT_S:.0f} s", tip=tip)
        return state

    def poll(self, job: JobSpec) -> JobStatus:
        return _status(job.id, job.folder)

    def stop(self, job: JobSpec, grace_s: float) -> None:
        if job.folder.is_dir():
            supervisor.write(job.folder / "stop.json", {"kill_at_s": time.time() + grace_s})
        owner = supervisor.owner(job.folder)
        alone = owner is not None and not supervisor.same(owner, "supervisor", "started")
        if owner is not None and alone and supervisor.same(owner, "job", "job_started"):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(owner["job"], signal.SIGKILL)  # nobody is left who would wait out the grace

    def remove(self, job: JobSpec) -> None:
        if self.poll(job).phase is Phase.EXITED:
            for name in ("pid.json", "exit.json", "start.json", "stop.json"):
                (job.folder / name).unlink(missing_ok=True)
            claims.drop(job.folder)

    def found(self, study: str) -> tuple[JobStatus, ...]:
        mine = (claim for claim in claims.every() if claim.study == study)
        each = (_status(claim.job, Path(claim.folder)) for claim in mine)
        return tuple(status for status in each if status.phase is not Phase.UNKNOWN)

    def end(self, job_id: str) -> None:
        for claim in claims.every():
            if claim.job == job_id:
                folder = Path(claim.folder)
                job = JobSpec(id=job_id, action="", image="", command=(), folder=folder, runtime="")
                self.stop(job, 0.0)
                until_s = time.monotonic() + END_TIMEOUT_S
                while self.poll(job).phase is not Phase.EXITED and time.monotonic() < until_s:
                    time.sleep(0.02)
                self.remove(job)

    def prepare(self, job: JobSpec, say: Callable[[str], None]) -> None:
        word = self.command(job)[0]
        if shutil.which(word, path=job.env.get("PATH")) is None:
            raise PlatformError(
                f"{word} is not on the PATH of node {socket.gethostname()}",
                tip="start tao-automl inside a TAO container, or use --runtime docker",
                code="no-command",
            )
        say(f"{word} is there")

    def probe(self) -> Probe:
        if not Path("/proc/self/stat").exists():
            return Probe(False, "there is no /proc on this machine", "use Linux, or run inside a container")
        return Probe(True, "jobs run as processes of this machine")

    def _start(self, job: JobSpec, site: Site) -> JobStatus:
        missing = [name for name in job.secrets if name not in site.secrets]
        if missing:
            raise PlatformError(f"secret {missing[0]} of job {job.id} has no value", tip=f"export {missing[0]}=…")
        job.folder.mkdir(parents=True, exist_ok=True)
        with gpus.node_lock():
            mine = claims.of(job.folder)
            taken, holders = claims.held()
            ids = mine.gpus if mine and mine.alive() else gpus.choose(site.gpus, taken, job.gpus)
            if ids is None:
                waits = gpus.waiting(site.gpus, holders, job.gpus)
                return JobStatus(job.id, Phase.PENDING, node=socket.gethostname(), waits=waits)
            claims.make(job.id, job.study, job.folder, ids, min(1.0, job.gpus))
        order = {"command": self.command(job), "timeout_s": job.timeout_s, "gpus": ids}
        supervisor.write(job.folder / "start.json", order)
        secrets = {name: site.secrets[name] for name in job.secrets}
        starter = [sys.executable, "-I", "-S", supervisor.__file__, str(job.folder)]
        subprocess.run(starter, check=True, stdin=subprocess.DEVNULL, env=self._environment(job, ids, secrets))
        return self.poll(job)

    def _environment(self, job: JobSpec, ids: tuple[str, ...], secrets: Mapping[str, str]) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not _NOT_INHERITED.fullmatch(name)}
        threads = dict.fromkeys(_THREADS, str(max(1, int(job.cpus))))
        devices = dict.fromkeys(("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES"), ",".join(ids)) if ids else {}
        return {**kept, **threads, "TELEMETRY_OPT_OUT": "1", **devices, **job.env, **secrets}


def _status(job_id: str, folder: Path) -> JobStatus:
    here = socket.gethostname()
    owner = supervisor.owner(folder)
    node = here if owner is None else owner.get("host", here)
    known: dict[str, Any] = {"node": node, "gpus": _gpus(folder)}
    ended = supervisor.read(folder / "exit.json")
    if ended is not None:
        return JobStatus(job_id, Phase.EXITED, **ended, **known)
    if owner is None:
        return _unowned(job_id, folder)
    if node != here:
        return JobStatus(job_id, Phase.PENDING, waits=f"it runs on {node}", **known)
    if supervisor.alive(owner):
        began_s = (folder / "pid.json").stat().st_mtime
        return JobStatus(job_id, Phase.RUNNING, started_at_s=began_s, pid=owner.get("job"), **known)
    ended = supervisor.read(folder / "exit.json")  # written between the two looks
    return _status(job_id, folder) if ended is not None else JobStatus(job_id, Phase.EXITED, **known)


def _unowned(job_id: str, folder: Path) -> JobStatus:
    if (folder / "pid.json").exists():  # made between the two looks; or, as it comes whole, damaged with its machine
        unread = supervisor.owner(folder) is None
        return JobStatus(job_id, Phase.EXITED) if unread else _status(job_id, folder)
    if (folder / "stop.json").exists():
        return JobStatus(job_id, Phase.EXITED, error="it was stopped before it started")
    return JobStatus(job_id, Phase.UNKNOWN)


def _gpus(folder: Path) -> tuple[str, ...]:
    return tuple((supervisor.read(folder / "start.json") or {}).get("gpus", ()))
