"""Places jobs on nodes. The only file that knows Ray.

A watcher is an actor that holds the resources of one slot for as long as the cluster is open, and starts,
watches and stops one job after another on its node. Ray places the watchers; the jobs are no children of
Ray's and go on when it ends.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from tao_automl.errors import AutoMLError, PlatformError
from tao_automl.execution import orphans, runtimes
from tao_automl.execution.job import JobSpec, JobStatus, Phase

STATUS_TIMEOUT_S = 0.5
OBJECT_STORE_BYTES = 80 * 2**20  # nothing is put into it, and Ray accepts no less than 75 MiB

# Ray reads these when it is imported and when its processes start: no usage reports, no metrics, no idle workers.
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_enable_metrics_collection": "0",
    "RAY_prestart_worker_first_driver": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS": "0",
}


class Cluster(Protocol):
    """What a tuner needs of a place where jobs run."""

    def submit(self, job: JobSpec) -> None:
        """Start a job, or attach to it: the same id twice is once."""
        ...

    def status(self, ids: Sequence[str]) -> dict[str, JobStatus]:
        """Where jobs are, all at once. A job that was not submitted here is UNKNOWN."""
        ...

    def cancel(self, job_id: str, grace_s: float) -> None:
        """Stop a job; its status says when it has ended."""
        ...

    def free(self) -> int:
        """How many more jobs would start at once."""
        ...

    def release(self, job_id: str) -> None:
        """The job is over and known to be: its slot is free."""
        ...

    def close(self) -> None:
        """Leave the cluster. Running jobs go on."""
        ...


class Watcher:
    """Lives on the node of its job, as a Ray actor. Returns a status, or the error as (message, tip)."""

    def __init__(self) -> None:
        self._job: JobSpec | None = None

    def watch(self, text: str) -> JobStatus | tuple[str, str]:
        """Take over a job and start it; the answer is that of `poll`."""
        self._job = JobSpec.from_json(text)
        return self.poll()

    def poll(self) -> JobStatus | tuple[str, str]:
        """Start the job if nobody has, and say where it is."""
        if self._job is None:
            return ("a watcher was asked about a job that it does not have", "")
        try:
            return runtimes.by_name(self._job.runtime).attach_or_start(self._job)
        except AutoMLError as error:
            return (error.message, error.tip)

    def stop(self, grace_s: float) -> None:
        if self._job is not None:
            runtimes.by_name(self._job.runtime).stop(self._job, grace_s)


@dataclass
class _Slot:
    """One watcher, the job it has, its last answer, and the question that it has not answered yet.

    `grace_s` is set once the job is to be stopped: a watcher that takes over is told again.
    """

    actor: Any
    job: JobSpec | None = None
    last: JobStatus | None = None
    asked: Any = None
    grace_s: float | None = None

    def take(self, job: JobSpec | None) -> None:
        self.job, self.last, self.asked, self.grace_s = job, None, None, None


class RayCluster:
    """Ray core: on this machine, or a standing cluster at `address`.

    Args:
        address: of a standing cluster; None starts Ray here, for as long as this process lives.
        slots: jobs at a time.
        cpus, gpus: of one job.

    Raises:
        PlatformError: Ray does not start or answer, or no node can ever hold one job.
    """

    def __init__(self, address: str | None, slots: int, cpus: float, gpus: int) -> None:
        self._resources = {"num_cpus": cpus, "num_gpus": gpus}
        with ExitStack() as opened:
            if address is None:
                opened.callback(_end, _guard())
            self._ray = _start(address, slots, cpus)
            opened.callback(_shutdown, self._ray)
            self._check_nodes(cpus, gpus)
            self._slots = [_Slot(self._watcher()) for _ in range(slots)]
            self._opened = opened.pop_all()

    def submit(self, job: JobSpec) -> None:
        """Raises:
        RuntimeError: there is no free slot; ask `free` first.
        """
        if any(slot.job is not None and slot.job.id == job.id for slot in self._slots):
            return
        slot = next((slot for slot in self._slots if slot.job is None), None)
        if slot is None:
            raise RuntimeError(f"no slot is free for job {job.id}")
        slot.take(job)
        slot.asked = slot.actor.watch.remote(job.to_json())

    def status(self, ids: Sequence[str]) -> dict[str, JobStatus]:
        """Raises:
        PlatformError: a job cannot be started on its node.
        """
        found = {job_id: JobStatus(job_id, Phase.UNKNOWN) for job_id in ids}
        slots = [slot for slot in self._slots if slot.job is not None and slot.job.id in found]
        for slot in slots:
            slot.asked = slot.asked or slot.actor.poll.remote()
        if slots:
            questions = [slot.asked for slot in slots]
            self._ray.wait(questions, num_returns=len(questions), timeout=STATUS_TIMEOUT_S)
        for slot in slots:
            if slot.job is not None:
                found[slot.job.id] = self._answer(slot, slot.job)
        return found

    def cancel(self, job_id: str, grace_s: float) -> None:
        for slot in self._slots:
            if slot.job is not None and slot.job.id == job_id:
                slot.grace_s = grace_s
                slot.actor.stop.remote(grace_s)

    def free(self) -> int:
        return sum(slot.job is None for slot in self._slots)

    def release(self, job_id: str) -> None:
        for slot in self._slots:
            if slot.job is not None and slot.job.id == job_id:
                slot.take(None)

    def close(self) -> None:
        self._opened.close()

    def _answer(self, slot: _Slot, job: JobSpec) -> JobStatus:
        """The answer if it is there, else the last one. A watcher that died is replaced, and attaches."""
        ready, _ = self._ray.wait([slot.asked], timeout=0)
        if ready:
            question, slot.asked = slot.asked, None
            try:
                answer = self._ray.get(question)
            except self._ray.exceptions.RayActorError:
                slot.actor = self._watcher()
                slot.asked = slot.actor.watch.remote(job.to_json())
                if slot.grace_s is not None:
                    slot.actor.stop.remote(slot.grace_s)
            else:
                if not isinstance(answer, JobStatus):
                    raise PlatformError(answer[0], tip=answer[1])
                slot.last = answer
        return slot.last or JobStatus(job.id, Phase.PENDING)

    def _watcher(self) -> Any:
        return self._ray.remote(Watcher).options(**self._resources).remote()

    def _check_nodes(self, cpus: float, gpus: int) -> None:
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        for name, wanted in (("GPU", gpus), ("CPU", cpus)):
            most = max((node.get(name, 0) for node in nodes), default=0)
            if wanted > most:
                fewer = f"--gpus {most:g}, or " if name == "GPU" else ""
                raise PlatformError(
                    f"a trial needs {wanted:g} {name}s, and no node has more than {most:g}",
                    tip=f"{fewer}--address of a cluster that has them",
                    code="no-such-node",
                )


def _guard() -> subprocess.Popen[bytes]:
    """What ends Ray's leftovers should this process be killed: its stdin ends then."""
    words = [sys.executable, "-I", "-S", orphans.__file__, str(os.getpgrp())]
    null = subprocess.DEVNULL
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=null, stderr=null, start_new_session=True)


def _end(guard: subprocess.Popen[bytes]) -> None:
    guard.kill()
    guard.communicate()


def _start(address: str | None, slots: int, cpus: float) -> Any:
    """Import Ray, and start it or connect to it."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    import ray
    from ray._private import worker

    # What Ray calls its errors, e.g. a watcher that died, it prints on stdout whatever log_to_driver says.
    worker.print_to_stdstream = lambda *_, **__: None
    local: dict[str, Any] = {
        "num_cpus": max(1, math.ceil(slots * cpus)),
        "object_store_memory": OBJECT_STORE_BYTES,
        "include_dashboard": False,
    }
    said: list[str] = []
    try:
        with _silenced(said):
            ray.init(
                address=address or "local",
                log_to_driver=False,
                logging_level="ERROR",
                namespace="tao-automl",
                **({} if address else local),
            )
    except (ConnectionError, RuntimeError, TimeoutError, ValueError, OSError) as error:
        where = f"at {address} " if address else ""
        line = str(error).strip().splitlines() or said or ["no reason given"]
        tip = "is it running, and of the same version?" if address else "tao-automl doctor checks this machine"
        raise PlatformError(f"Ray {where}does not start: {line[0]}", tip=tip, code="ray") from None
    return ray


def _shutdown(ray: Any) -> None:
    with _silenced():
        ray.shutdown()


@contextmanager
def _silenced(said: list[str] | None = None) -> Iterator[None]:
    """Keep Ray's console text, which its native code writes too, off the terminal; `said` gets its lines."""
    sys.stdout.flush()
    sys.stderr.flush()
    with tempfile.TemporaryFile() as console:
        before = os.dup(1), os.dup(2)
        for stream in (1, 2):
            os.dup2(console.fileno(), stream)
        try:
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for stream, kept in zip((1, 2), before, strict=True):
                os.dup2(kept, stream)
                os.close(kept)
            if said is not None:
                console.seek(0)
                said += console.read().decode(errors="replace").splitlines()
