"""The driver's end of one watcher: its job, its node, its last answer, and what to do when it dies."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tao_automl.execution import watcher
from tao_automl.execution.grid import Grid, Node, Place, WatcherDied
from tao_automl.execution.job import JobSpec, JobStatus, Phase
from tao_automl.execution.watcher import Order, Watcher

SEEK_EVERY_S = 5.0  # a look on all nodes for a job whose node is gone
SEEK_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Needs:
    """What a seat holds on its node for as long as it is there."""

    cpus: float
    gpus: float


class Seat:
    """One watcher and the one job it has.

    A watcher that died is replaced on its node and attaches to the job. If the node is gone with it, the job may
    still run there: it is sought on the nodes that are or come back, for `grace_s`, and is lost only then.
    """

    def __init__(self, ray: Grid, needs: Needs, place: Place, grace_s: float) -> None:
        self._ray = ray
        self._needs = needs
        self._grace_s = grace_s
        self.job: JobSpec | None = None
        self.leaving: Any = None  # answered once the last job's traces are gone
        self._secrets: Mapping[str, str] = {}
        self._last: JobStatus | None = None
        self._stop_grace_s: float | None = None
        self._lost_s: float | None = None
        self._sought_s = 0.0
        self.node: Node | None = place.node
        self._sit(place)

    def ready(self) -> bool:
        """True once the watcher is there. Learns on which node."""
        if self.node is None and self.where is not None and self._ray.ready(self.where):
            try:
                name = self._ray.answer(self.where)
            except WatcherDied:
                self._sit(Place())
                return False
            self.node = next((node for node in self._ray.nodes() if node.id == name), None)
        return self.node is not None

    def move(self, node: Node, guest: bool) -> None:
        """To another node, while it has no job; a guest comes for a job that is there already."""
        self._ray.kill(self._actor)
        self._sit(Place(node), guest)

    def take(self, job: JobSpec, secrets: Mapping[str, str]) -> None:
        """Start a job, or attach to it."""
        self.job, self._secrets = job, secrets
        self._last = self._stop_grace_s = self._lost_s = None
        self._watch()

    def leave(self) -> None:
        """The job is over and known to be."""
        if self.job is not None:
            self.leaving = self._actor.forget.remote()
        self.job, self._secrets, self._last, self._asked = None, {}, None, None
        if self._lost_s is not None or self._guest:
            self._lost_s = None
            self._sit(Place())

    def stop(self, grace_s: float) -> None:
        self._stop_grace_s = grace_s
        self._actor.stop.remote(grace_s)

    def ask(self) -> Any:
        """The question that is open; a new one if none is."""
        self._asked = self._asked or self._actor.poll.remote()
        return self._asked

    def status(self) -> JobStatus:
        """The answer if it is there, else the last one.

        Raises:
            PlatformError: the job cannot be started or watched.
        """
        if self.job is None:
            raise RuntimeError("a seat without a job was asked for its status")
        if self._lost_s is not None:
            return self._seek(self.job, self._lost_s)
        if self._asked is not None and self._ray.ready(self._asked):
            question, self._asked = self._asked, None
            try:
                answer = self._ray.answer(question)
            except WatcherDied:
                self._replace()
            else:
                if isinstance(answer, tuple):
                    raise watcher.raised(answer)
                self._last = self._here(answer) if answer else self._last
        return self._last or JobStatus(self.job.id, Phase.PENDING)

    def _here(self, status: JobStatus) -> JobStatus:
        """With the name that the cluster has for the node."""
        return replace(status, node=self.node.host) if self.ready() and self.node else status

    def _sit(self, place: Place, guest: bool = False) -> None:
        """A guest holds nothing: the job that it comes for has its GPUs, and waits for no other watcher to go."""
        self.node, self._guest = place.node, guest
        cpus, gpus = (0.0, 0.0) if guest else (self._needs.cpus, self._needs.gpus)
        self._actor = self._ray.actor(Watcher, cpus, gpus, place)
        self.where = self._actor.where.remote()
        self._asked = None

    def _watch(self) -> None:
        if self.job is None:
            return
        nodes = {node.id: node for node in self._ray.nodes()}
        self._asked = self._actor.watch.remote(Order(self.job.to_json(), nodes, self._secrets))
        if self._stop_grace_s is not None:
            self._actor.stop.remote(self._stop_grace_s)

    def _replace(self) -> None:
        """Where the job is, another watcher will find it. Without an answer yet, it is nowhere."""
        if self.node is None and not self.ready():
            self._sit(Place())
            self._watch()
            return
        node = next((node for node in self._ray.nodes() if self.node and node.id == self.node.id), None)
        if node is None:
            self._lost_s = self._sought_s = time.monotonic()
        else:
            self._sit(Place(node), self._guest)
            self._watch()

    def _seek(self, job: JobSpec, since_s: float) -> JobStatus:
        """Look for the job on all nodes, now and then and a last time; what is lost by then stays lost."""
        host = self.node.host if self.node else "unknown"
        last = self._last or JobStatus(job.id, Phase.PENDING)
        if last.phase is Phase.EXITED:
            return last
        now_s = time.monotonic()
        over = now_s - since_s >= self._grace_s
        if over or now_s - self._sought_s >= SEEK_EVERY_S:
            self._sought_s = now_s
            node = self._seen_on(job)
            if node is not None:
                self._lost_s = None
                self._sit(Place(node), guest=True)
                self._watch()
                return last
        if over:
            self._last = JobStatus(job.id, Phase.EXITED, node=host, error=f"node {host} was lost and did not come back")
            return self._last
        return replace(last, waits=f"node {host} is gone")

    def _seen_on(self, job: JobSpec) -> Node | None:
        nodes = self._ray.nodes()
        answers = self._ray.on_each(nodes, watcher.found, job.runtime, job.study, timeout_s=SEEK_TIMEOUT_S)
        for node, jobs in answers.items():
            if any(isinstance(item, JobStatus) and item.id == job.id for item in jobs):
                return node
        return None
