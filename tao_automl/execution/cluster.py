"""Places jobs on nodes: slots, each with a watcher on one node, or on several for a job of several nodes."""

from __future__ import annotations

import re
import shutil
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from tao_automl.errors import PlatformError
from tao_automl.execution import watcher
from tao_automl.execution.grid import Grid, Node, Place
from tao_automl.execution.job import JobSpec, JobStatus, Mount, Phase
from tao_automl.execution.seat import Needs, Seat

STATUS_TIMEOUT_S = 0.5
SURVEY_TIMEOUT_S = 60.0
LEAVE_TIMEOUT_S = 10.0  # for what runtimes keep of told jobs to be removed
FIRST_PORT, PORTS = 20000, 10000  # where the ranks of a job meet

Say = Callable[[str, str], None]  # node, what it is doing


class Cluster(Protocol):
    """What a tuner needs of a place where jobs run."""

    def prepare(self, job: JobSpec, token: Path | None, say: Say) -> None:
        """Get each node ready for jobs like this one."""
        ...

    def survey(self) -> dict[str, JobStatus]:
        """The jobs of the study on all nodes, running or ended, whoever started them."""
        ...

    def end(self, job_id: str) -> None:
        """End a job that the survey found and nobody waits for, and forget it."""
        ...

    def submit(self, job: JobSpec) -> None:
        """Start a job, or attach to it: the same id twice is once."""
        ...

    def status(self, ids: Sequence[str]) -> dict[str, JobStatus]:
        """Where jobs are, all at once. A job that was not submitted here is UNKNOWN."""
        ...

    def cancel(self, job_id: str, grace_s: float) -> None:
        """Stop a job; its status says when it has ended."""
        ...

    def free(self, avoid: Sequence[str] = ()) -> int:
        """How many more jobs would start at once that are to avoid these hosts and GPUs."""
        ...

    def release(self, job_id: str) -> None:
        """The job is over and known to be: its slot is free, and its runtime may forget it."""
        ...

    def close(self) -> None:
        """Leave the cluster. Running jobs go on."""
        ...


@dataclass(frozen=True)
class Room:
    """What a study asks of a cluster.

    `address` is that of a standing cluster; None starts Ray here, for as long as this process lives, with
    `node_gpus` GPUs (None: what Ray finds). `cpus`, `gpus` and `nodes` are of one job, `slots` are jobs at a time.
    """

    study: str
    runtime: str
    slots: int = 1
    cpus: float = 1.0
    gpus: float = 0
    nodes: int = 1
    address: str | None = None
    node_gpus: float | None = None
    node_grace_s: float = 300.0
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


class _Slot:
    """One job at a time, on as many nodes as it needs: the first seat has rank 0."""

    def __init__(self, seats: Sequence[Seat]) -> None:
        self.seats = tuple(seats)
        self.job: JobSpec | None = None

    def ready(self) -> bool:
        return all(seat.ready() for seat in self.seats)

    def hosts(self) -> set[str]:
        return {seat.node.host for seat in self.seats if seat.node is not None}

    def take(self, job: JobSpec, secrets: Mapping[str, str]) -> None:
        self.job = job
        for rank, seat in enumerate(self.seats):
            seat.take(job if len(self.seats) == 1 else _rank(job, rank, self.seats[0].node), secrets)

    def stop(self, grace_s: float) -> None:
        for seat in self.seats:
            seat.stop(grace_s)

    def leave(self) -> None:
        self.job = None
        for seat in self.seats:
            seat.leave()

    def status(self, job: JobSpec) -> JobStatus:
        """That of rank 0, once all have ended; one that fails or is first to be lost ends the others."""
        each = [seat.status() for seat in self.seats]
        if len(each) == 1:
            return each[0]
        over = [status for status in each if status.phase is Phase.EXITED]
        bad = [status for status in over if status.exit_code != 0]
        failed = min(bad, key=lambda status: status.ended_at_s or 0.0, default=None)  # the others followed
        if len(over) < len(each):
            if failed or each[0] in over:
                for seat, status in zip(self.seats, each, strict=True):
                    if status.phase is not Phase.EXITED:
                        seat.stop(0.0)
            running = next((status for status in each if status.phase is not Phase.EXITED), each[0])
            return replace(each[0], phase=running.phase, exit_code=None, ended_at_s=None, error=None)
        if each[0].exit_code == 0:  # the others were told to end when it had
            return each[0]
        return replace(failed or each[0], id=job.id, node=each[0].node, gpus=each[0].gpus)


class RayCluster:
    """Watchers that Ray has placed, on this machine or on a standing cluster.

    Raises:
        PlatformError: Ray does not start or answer, or no node can ever hold one job.
    """

    def __init__(self, room: Room) -> None:
        self._room = room
        self._ray = Grid(room.address, room.slots * room.cpus, room.node_gpus)
        try:
            _check_nodes(self._ray.nodes(), room)
            self._slots = [self._slot() for _ in range(room.slots)]
        except BaseException:
            self._ray.close()
            raise
        self._found: dict[str, Node] = {}

    def prepare(self, job: JobSpec, token: Path | None, say: Say) -> None:
        """Raises:
        PlatformError: a node does not see the data or the studies, or cannot get the image; it is named.
        """
        nodes = [node for node in self._ray.nodes() if _holds(node, self._room)]
        if self._room.address is None:
            watcher.get_ready(job, lambda text: say(nodes[0].host, text))
            return
        seen = str(token) if token else None
        for node, item in self._ray.stream_each(nodes, watcher.prepare, job.to_json(), seen):
            if isinstance(item, tuple):
                raise _problem(node, item)
            say(node.host, item or "does not answer")

    def survey(self) -> dict[str, JobStatus]:
        """Raises:
        PlatformError: a node cannot say what runs there.
        """
        room, nodes = self._room, self._ray.nodes()
        if room.address is None:
            answers: Mapping[Node, Any] = {nodes[0]: watcher.found(room.runtime, room.study)}
        else:
            answers = self._ray.on_each(nodes, watcher.found, room.runtime, room.study, timeout_s=SURVEY_TIMEOUT_S)
        jobs: dict[str, JobStatus] = {}
        self._found.clear()
        for node, found in answers.items():
            if found and isinstance(found[0], str):
                if room.gpus and not node.gpus:
                    continue  # the head of a cluster needs no engine
                raise _problem(node, found)
            for status in found:
                jobs.setdefault(status.id, status)
                self._found.setdefault(status.id, node)
        return jobs

    def end(self, job_id: str) -> None:
        """Raises:
        PlatformError: the node that has it does not do as it is told.
        """
        node = self._found.pop(job_id, None)
        if node is None:
            return
        if self._room.address is None:
            problem = watcher.end(self._room.runtime, job_id)
        else:
            answers = self._ray.on_each([node], watcher.end, self._room.runtime, job_id, timeout_s=SURVEY_TIMEOUT_S)
            problem = answers.get(node)
        if problem:
            raise _problem(node, problem)

    def submit(self, job: JobSpec) -> None:
        """Raises:
        RuntimeError: there is no free slot; ask `free` first.
        PlatformError: every GPU that the job could get is to be avoided.
        """
        if any(slot.job is not None and slot.job.id == job.id for slot in self._slots):
            return
        slot = self._choose(job)
        if slot is None:
            raise RuntimeError(f"no slot is free for job {job.id}")
        if job.nodes > 1:
            while not slot.ready():  # the address of rank 0 is part of every rank's environment
                self._ray.wait([seat.where for seat in slot.seats if seat.node is None], STATUS_TIMEOUT_S)
        slot.take(job, self._room.secrets)

    def status(self, ids: Sequence[str]) -> dict[str, JobStatus]:
        """Raises:
        PlatformError: a job cannot be watched on its node, or Ray does not answer.
        """
        found = {job_id: JobStatus(job_id, Phase.UNKNOWN) for job_id in ids}
        slots = [slot for slot in self._slots if slot.job is not None and slot.job.id in found]
        self._ray.wait([seat.ask() for slot in slots for seat in slot.seats], STATUS_TIMEOUT_S)
        for slot in slots:
            if slot.job is not None:
                found[slot.job.id] = slot.status(slot.job)
        return found

    def cancel(self, job_id: str, grace_s: float) -> None:
        for slot in self._slots:
            if slot.job is not None and slot.job.id == job_id:
                slot.stop(grace_s)

    def free(self, avoid: Sequence[str] = ()) -> int:
        """On a standing cluster, a slot whose watcher Ray has not placed yet is not free.

        Raises:
            PlatformError: every GPU there is is to be avoided.
        """
        free = [slot for slot in self._slots if slot.job is None]
        if self._room.address is None:
            return len(free)
        return len(self._good([slot for slot in free if slot.ready()], avoid))

    def release(self, job_id: str) -> None:
        for slot in self._slots:
            if slot.job is not None and slot.job.id == job_id:
                slot.leave()

    def close(self) -> None:
        leaving = [seat.leaving for slot in self._slots for seat in slot.seats if seat.leaving is not None]
        with suppress(PlatformError):
            self._ray.wait(leaving, LEAVE_TIMEOUT_S)
        self._ray.close()

    def _slot(self) -> _Slot:
        room = self._room
        needs = Needs(room.cpus, room.gpus)
        if room.nodes == 1:
            return _Slot([Seat(self._ray, needs, Place(), room.node_grace_s)])
        group = self._ray.spread(room.cpus, room.gpus, room.nodes)
        places = [Place(group=group, bundle=rank) for rank in range(room.nodes)]
        return _Slot([Seat(self._ray, needs, place, room.node_grace_s) for place in places])

    def _choose(self, job: JobSpec) -> _Slot | None:
        """A free slot where the job is already, else one that has nothing it is to avoid."""
        free = [slot for slot in self._slots if slot.job is None]
        free.sort(key=lambda slot: not slot.ready())
        if not free or job.nodes > 1 or self._room.address is None:
            return free[0] if free else None
        home = next((node for node in self._ray.nodes() if node == self._found.get(job.id)), None)
        if home is not None:
            there = next((slot for slot in free if slot.seats[0].node == home), None)
            if there is None:
                free[0].seats[0].move(home, guest=True)
            return there or free[0]
        return next(iter(self._good(free, job.avoid)), None)

    def _good(self, free: Sequence[_Slot], avoid: Sequence[str]) -> Sequence[_Slot]:
        """The slots of these on hosts that need not be avoided, or one that is moved there.

        To avoid a host is a wish: where no other one could hold a job at all, each slot is good.
        """
        nodes = self._ray.nodes()
        shunned = _shunned(nodes, avoid, self._room.gpus) if avoid else set()
        good = [slot for slot in free if not shunned or (slot.ready() and not slot.hosts() & shunned)]
        others = [node for node in nodes if _holds(node, self._room) and node.host not in shunned]
        if good or not free or not others:
            return good or free
        unused = self._ray.unused()
        for node in others:
            cpus, gpus = unused.get(node.id, (0.0, 0.0))
            if cpus >= self._room.cpus and gpus >= self._room.gpus:
                free[0].seats[0].move(node, guest=False)
                return free[:1]
        return []


def _problem(node: Node, problem: watcher.Problem) -> PlatformError:
    name, (said, tip) = f"node {node.host}", problem
    here = said.startswith(watcher.THIS_NODE)
    message = said.replace(watcher.THIS_NODE, name, 1) if here else f"{name}: {said}"
    return PlatformError(message, tip=tip, code="node")


def _shunned(nodes: Iterable[Node], avoid: Sequence[str], gpus: float) -> set[str]:
    """Hosts that are to be avoided, or that have too few GPUs which are not.

    Raises:
        PlatformError: no host has enough of them.
    """
    avoided = [name.partition("/") for name in avoid]
    able = [node for node in nodes if node.gpus >= gpus]
    short = {
        node.host
        for node in able
        if gpus and node.gpus - sum(host == node.host and bool(gpu) for host, _, gpu in avoided) < gpus
    }
    if able and short == {node.host for node in able}:
        failed = ", ".join(name for name in avoid if "/" in name)
        raise PlatformError(
            f"no node has {gpus:g} GPUs left that work: {failed} failed",
            tip="have them checked; the study goes on with tao-automl resume",
            code="no-gpu",
        )
    return short | {host for host, _, gpu in avoided if not gpu}


def _rank(job: JobSpec, rank: int, first: Node | None) -> JobSpec:
    """The job of one rank: where the ranks meet, and a spec of its own, which TAO's launcher rewrites."""
    meeting = {
        "WORLD_SIZE": str(job.nodes),
        "NODE_RANK": str(rank),
        "NUM_GPU_PER_NODE": str(max(1, int(job.gpus))),
        "MASTER_ADDR": first.address if first else "",
        "MASTER_PORT": str(FIRST_PORT + zlib.crc32(job.id.encode()) % PORTS),
    }
    env = {**job.env, **meeting}
    if rank == 0:
        return replace(job, env=env)
    folder = job.folder / f"node-{rank}"
    folder.mkdir(exist_ok=True)
    with suppress(FileNotFoundError):
        shutil.copyfile(job.folder / "spec.yaml", folder / "spec.yaml")
    before = str(job.folder / "spec.yaml")
    command = tuple(part.replace(before, str(folder / "spec.yaml")) for part in job.command)
    results = Mount(str(job.folder), str(job.folder), read_only=False)
    mounts = (*job.mounts, results)
    return replace(job, id=f"{job.id}-node{rank}", folder=folder, command=command, env=env, mounts=mounts)


def whole(job_id: str) -> str:
    """The job that a rank is a part of; a job of one node is whole."""
    return re.sub(r"-node\d+$", "", job_id)


def _holds(node: Node, room: Room) -> bool:
    return node.cpus >= room.cpus and node.gpus >= room.gpus


def _check_nodes(nodes: Sequence[Node], room: Room) -> None:
    for name, wanted in (("gpus", room.gpus), ("cpus", room.cpus)):
        most = max((getattr(node, name) for node in nodes), default=0)
        if wanted > most:
            fewer = f"--gpus {most:g}, or " if name == "gpus" else ""
            raise PlatformError(
                f"a trial needs {wanted:g} {name.upper()[:-1]}s, and no node has more than {most:g}",
                tip=f"{fewer}--address of a cluster that has them",
                code="no-such-node",
            )
    able = sum(_holds(node, room) for node in nodes)
    if able < room.nodes:
        raise PlatformError(
            f"a trial needs {room.nodes} nodes, and {able} can hold a part of it",
            tip=f"--nodes {max(able, 1)}, or --address of a larger cluster",
            code="no-such-node",
        )
