"""What runs on a node: a watcher of one job at a time, and questions about the node itself.

Answers are values, also of errors: `(message, tip)` is what a user can do something about.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Queue

from tao_automl.errors import AutoMLError, PlatformError
from tao_automl.execution import cache, runtimes, shelf
from tao_automl.execution.cache import Stager
from tao_automl.execution.grid import Node, node_id
from tao_automl.execution.job import JobSpec, JobStatus, Phase, Site

THIS_NODE = "this node"  # in the message of a problem; whoever asked knows its name
FORGET_S, FORGET_EVERY_S = 8.0, 0.5
WAITING_S = 1.0  # between two looks for a free GPU

Problem = tuple[str, str]


@dataclass(frozen=True)
class Order:
    """A job for a watcher, with what is written nowhere: the nodes by their id, and secrets by name."""

    job: str
    nodes: Mapping[str, Node]
    secrets: Mapping[str, str]

    def __repr__(self) -> str:
        return "Order(…)"  # a traceback or a log line must not show the secrets


class Watcher:
    """Lives on the node of its job, as a Ray actor."""

    def __init__(self) -> None:
        self._job: JobSpec | None = None
        self._site = Site()
        self._last: JobStatus | None = None
        self._looked_s = 0.0
        self._stager = Stager()
        self._touched_s = -shelf.TOUCH_EVERY_S

    def where(self) -> str:
        """The id of this node."""
        return node_id()

    def watch(self, order: Order) -> JobStatus | Problem:
        """Take over a job and start it; the answer is that of `poll`."""
        self._job = JobSpec.from_json(order.job)
        node = order.nodes.get(node_id())
        self._site = Site(usable(node, self._job.avoid) if node else (), order.secrets)
        self._last, self._touched_s = None, -shelf.TOUCH_EVERY_S
        return self.poll()

    def poll(self) -> JobStatus | Problem:
        """Start the job if nobody has, and say where it is. What has been started is never started again."""
        if self._job is None:
            return ("a watcher was asked about a job that it does not have", "")
        try:
            self._last = self._look(self._job, self._last)
        except AutoMLError as error:
            return (error.message, error.tip)
        return self._last

    def _look(self, job: JobSpec, last: JobStatus | None) -> JobStatus:
        runtime = runtimes.by_name(job.runtime)
        if time.monotonic() - self._touched_s >= shelf.TOUCH_EVERY_S:
            self._touched_s = time.monotonic()
            shelf.touch(job.staged)
        if last is not None and last.phase is not Phase.PENDING:
            status = runtime.poll(job)
            gone = status.phase is Phase.UNKNOWN
            lost = JobStatus(job.id, Phase.EXITED, started_at_s=last.started_at_s, error=last.error)
            return lost if gone else status
        now_s = time.monotonic()
        if last is None or now_s - self._looked_s >= WAITING_S:
            self._looked_s = now_s
            return self._not_ready(job) or runtime.attach_or_start(job, self._site)
        return last

    def _not_ready(self, job: JobSpec) -> JobStatus | None:
        """A node that has come since the study was prepared, or whose cache was cleared, has to bring what it lacks."""
        if not cache.missing(job.staged) or runtimes.by_name(job.runtime).poll(job).phase is not Phase.UNKNOWN:
            return None
        here = socket.gethostname()
        try:
            waits = self._stager.waits(job)
        except AutoMLError as error:
            return JobStatus(job.id, Phase.EXITED, node=here, error=error.message)
        return JobStatus(job.id, Phase.PENDING, node=here, waits=waits) if waits else None

    def stop(self, grace_s: float) -> None:
        if self._job is not None:
            runtimes.by_name(self._job.runtime).stop(self._job, grace_s)

    def forget(self) -> None:
        """The job is over and known to be: remove what its runtime keeps of it, also if its engine is away a while."""
        job, self._job, self._last = self._job, None, None
        if job is None:
            return
        until_s = time.monotonic() + FORGET_S
        with contextlib.suppress(AutoMLError):
            while not _forgotten(job) and time.monotonic() < until_s:
                time.sleep(FORGET_EVERY_S)


def _forgotten(job: JobSpec) -> bool:
    """True if nothing is left to remove; what still runs is left to whoever asks next."""
    runtime = runtimes.by_name(job.runtime)
    runtime.remove(job)
    status = runtime.poll(job)
    return status.waits is None and status.phase in (Phase.UNKNOWN, Phase.RUNNING)


def usable(node: Node, avoid: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The ids of this node's GPUs that a job may get.

    A node gives those that its Ray was started with (CUDA_VISIBLE_DEVICES), else all, counted from 0.
    """
    ids = _visible() or tuple(str(number) for number in range(int(node.gpus)))
    return tuple(name for name in ids if f"{node.host}/{name}" not in avoid)


def _visible() -> tuple[str, ...]:
    """Ray gives each watcher ids of its own choice; what the node has, stands in the environment of its parent."""
    try:
        words = Path(f"/proc/{os.getppid()}/environ").read_bytes().split(b"\0")
    except OSError:
        return ()
    named = next((word for word in words if word.startswith(b"CUDA_VISIBLE_DEVICES=")), b"=").decode()
    return tuple(name.strip() for name in named.partition("=")[2].split(",") if name.strip())


def found(runtime: str, study: str) -> tuple[JobStatus, ...] | Problem:
    """The jobs of a study that this node knows of."""
    try:
        return tuple(replace(status, node=socket.gethostname()) for status in runtimes.by_name(runtime).found(study))
    except AutoMLError as error:
        return (error.message, error.tip)


def end(runtime: str, job_id: str) -> Problem | None:
    """End a job of this node that nobody waits for."""
    try:
        runtimes.by_name(runtime).end(job_id)
    except AutoMLError as error:
        return (error.message, error.tip)
    return None


def prepare(job: str, token: str | None) -> Iterator[str | Problem]:
    """Get this node ready for jobs like this one; yields what it is doing, and a problem as the last.

    `token` is a file that the driver has just written where the results go: a node that does not see it has
    another file system there.
    """
    spec = JobSpec.from_json(job)
    yield from missing(spec, token)
    said: Queue[str | Problem | None] = Queue()

    def work() -> None:
        try:
            get_ready(spec, said.put)
        except AutoMLError as error:
            said.put((error.message, error.tip))
        finally:
            said.put(None)

    threading.Thread(target=work, daemon=True).start()
    while (item := said.get()) is not None:
        yield item


def get_ready(job: JobSpec, say: Callable[[str], None]) -> None:
    """Everything that can be done on this node before a job like this one starts.

    Raises:
        AutoMLError: it cannot be done.
    """
    runtimes.by_name(job.runtime).prepare(job, say)
    for item in job.staged:
        cache.stage(item, say)


def missing(job: JobSpec, token: str | None) -> Iterator[Problem]:
    """What a job needs and this node does not see."""
    brought = {item.path for item in job.staged}
    for mount in job.mounts:
        if mount.host not in brought and not Path(mount.host).exists():
            tip = "mount the same file system at the same path on every node, or leave this node out of the cluster"
            yield (f"{THIS_NODE} does not see {mount.host}", tip)
            return
    if token is None:
        return
    folder = Path(token).parent
    if not Path(token).exists():
        tip = "--studies-dir names a folder that every node sees at the same path"
        yield (f"{THIS_NODE} does not see the studies folder {folder}", tip)
    elif not os.access(folder, os.W_OK):
        yield (f"{THIS_NODE} may not write to the studies folder {folder}", "give its user the right to")


def raised(problem: Problem) -> PlatformError:
    return PlatformError(problem[0], tip=problem[1])
