"""Ray as we use it: nodes, watchers on them, questions and answers. The only file that knows Ray.

Ray places the watchers; the jobs are no children of Ray's and go on when it ends.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from tao_automl.errors import PlatformError
from tao_automl.execution import orphans

OBJECT_STORE_BYTES = 80 * 2**20  # nothing is put into it, and Ray accepts no less than 75 MiB

# Ray reads these when it is imported and when its processes start: no usage reports, no metrics, no idle workers.
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_enable_metrics_collection": "0",
    "RAY_prestart_worker_first_driver": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS": "0",
}

# What `ray.init` starts and nobody here asks: an autoscaler, a dashboard, a reader of logs. Each is a Python of its
# own, and together they take longer to start and to end than all the rest of Ray.
_UNUSED = ("start_monitor", "start_api_server", "start_log_monitor")

Question = Any  # an answer that may not be there yet


class WatcherDied(Exception):  # noqa: N818 what happened, not a fault of ours
    """The process that was asked is gone, perhaps with its node."""


@dataclass(frozen=True)
class Node:
    """A machine of the cluster. `id` is new each time Ray starts there; `host` and `address` stay.

    `host` is the name that the node was given (`ray start --node-name`), else its hostname.
    """

    id: str
    host: str
    address: str
    cpus: float
    gpus: float


@dataclass(frozen=True)
class Place:
    """Where a watcher goes: on a node, into a bundle of a group, or where Ray finds room."""

    node: Node | None = None
    group: Any = None
    bundle: int = 0


class Grid:
    """Ray on this machine for as long as this process lives, or a standing cluster at `address`.

    Args:
        cpus, gpus: of this machine, where Ray is started here. None: what Ray finds.

    Raises:
        PlatformError: Ray does not start or answer.
    """

    def __init__(self, address: str | None, cpus: float, gpus: float | None) -> None:
        with ExitStack() as opened:
            if address is None:
                opened.callback(_end, _guard())
            self._ray = _start(address, cpus, gpus)
            opened.callback(_shutdown, self._ray)
            self._opened = opened.pop_all()

    def close(self) -> None:
        self._opened.close()

    def nodes(self) -> tuple[Node, ...]:
        """The nodes that are alive, those with the most GPUs first."""
        with _ray_errors(self._ray):
            found = [node for node in self._ray.nodes() if node["Alive"]]
        nodes = (
            Node(
                id=node["NodeID"],
                host=_host(node),
                address=node["NodeManagerAddress"],
                cpus=node["Resources"].get("CPU", 0.0),
                gpus=node["Resources"].get("GPU", 0.0),
            )
            for node in found
        )
        return tuple(sorted(nodes, key=lambda node: -node.gpus))

    def unused(self) -> Mapping[str, tuple[float, float]]:
        """CPUs and GPUs that nobody holds, by the id of the node."""
        from ray._private import state

        with _ray_errors(self._ray):
            found = state.available_resources_per_node()
        return {name: (free.get("CPU", 0.0), free.get("GPU", 0.0)) for name, free in found.items()}

    def spread(self, cpus: float, gpus: float, nodes: int) -> Any:
        """Room on several nodes at once, one bundle on each."""
        from ray.util.placement_group import placement_group

        return placement_group([{"CPU": cpus, **({"GPU": gpus} if gpus else {})}] * nodes, strategy="STRICT_SPREAD")

    def actor(self, kind: type, cpus: float, gpus: float, place: Place) -> Any:
        """A process that holds resources on a node and answers questions one after another."""
        return self._ray.remote(kind).options(num_cpus=cpus, num_gpus=gpus, **_strategy(place)).remote()

    def kill(self, actor: Any) -> None:
        self._ray.kill(actor)

    def ready(self, question: Question) -> bool:
        return bool(self._ray.wait([question], timeout=0)[0])

    def wait(self, questions: Sequence[Question], timeout_s: float) -> None:
        """Until all are answered, or the time is up."""
        if questions:
            self._ray.wait(list(questions), num_returns=len(questions), timeout=timeout_s)

    def answer(self, question: Question) -> Any:
        """None if who was asked cannot be reached for now.

        Raises:
            WatcherDied: there will be no answer.
        """
        errors = self._ray.exceptions
        try:
            with _ray_errors(self._ray):
                return self._ray.get(question)
        except errors.ActorUnavailableError:
            return None
        except (errors.RayActorError, errors.WorkerCrashedError, errors.NodeDiedError, errors.ActorUnschedulableError):
            raise WatcherDied from None
        except (errors.TaskUnschedulableError, errors.ObjectLostError, errors.LocalRayletDiedError):
            raise WatcherDied from None

    def on_each(
        self, nodes: Sequence[Node], function: Callable[..., Any], *args: Any, timeout_s: float
    ) -> Mapping[Node, Any]:
        """Call a function on nodes at once; those that do not answer in time or die are left out."""
        task = self._ray.remote(function)
        words = {"num_cpus": 0, "max_retries": 0}
        asked = {node: task.options(**words, **_strategy(Place(node))).remote(*args) for node in nodes}
        self.wait(list(asked.values()), timeout_s)
        found = {}
        for node in [node for node, question in asked.items() if self.ready(question)]:
            try:
                found[node] = self.answer(asked[node])
            except WatcherDied:  # noqa: PERF203 each node may die for itself
                continue
        return found

    def stream_each(
        self, nodes: Sequence[Node], function: Callable[..., Iterator[Any]], *args: Any
    ) -> Iterator[tuple[Node, Any]]:
        """Call a generator on nodes at once, and yield what they yield as it comes; None if a node dies."""
        task = self._ray.remote(function)
        words = {"num_cpus": 0, "max_retries": 0, "num_returns": "streaming"}
        streams = {task.options(**words, **_strategy(Place(node))).remote(*args): node for node in nodes}
        while streams:
            ready, _ = self._ray.wait(list(streams), timeout=1.0)
            for stream in ready:
                node = streams[stream]
                try:
                    item = self.answer(next(stream))
                except (StopIteration, WatcherDied) as end:
                    del streams[stream]
                    if isinstance(end, WatcherDied):
                        yield node, None
                else:
                    yield node, item


def node_id() -> str:
    """Of the node on which a watcher asks this."""
    import ray

    return str(ray.get_runtime_context().get_node_id())


def _host(node: Mapping[str, Any]) -> str:
    name, address = node.get("NodeName"), node["NodeManagerAddress"]
    return str(name if name and name != address else node["NodeManagerHostname"])


def _strategy(place: Place) -> dict[str, Any]:
    from ray.util import scheduling_strategies as strategies

    if place.node is not None:
        return {"scheduling_strategy": strategies.NodeAffinitySchedulingStrategy(place.node.id, soft=False)}
    if place.group is not None:
        found = strategies.PlacementGroupSchedulingStrategy(place.group, placement_group_bundle_index=place.bundle)
        return {"scheduling_strategy": found}
    return {}


@contextmanager
def _ray_errors(ray: Any) -> Iterator[None]:
    """Raises:
    PlatformError: the cluster itself is gone.
    """
    try:
        yield
    except (ConnectionError, ray.exceptions.RaySystemError, ray.exceptions.RpcError) as error:
        line = (str(error).strip().splitlines() or ["no reason given"])[0]
        tip = "see that the cluster is up; what runs goes on, and resume attaches to it"
        raise PlatformError(f"Ray does not answer any more: {line}", tip=tip, code="ray") from None


def _guard() -> subprocess.Popen[bytes]:
    """What ends Ray's leftovers should this process be killed: its stdin ends then."""
    words = [sys.executable, "-I", "-S", orphans.__file__, str(os.getpgrp())]
    null = subprocess.DEVNULL
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=null, stderr=null, start_new_session=True)


def _end(guard: subprocess.Popen[bytes]) -> None:
    guard.kill()
    guard.communicate()


def _start(address: str | None, cpus: float, gpus: float | None) -> Any:
    """Import Ray, and start it or connect to it."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    import ray
    from ray._private import node, worker

    # What Ray calls its errors, e.g. a watcher that died, it prints on stdout whatever log_to_driver says.
    worker.print_to_stdstream = lambda *_, **__: None
    for name in _UNUSED:
        setattr(node.Node, name, lambda *_, **__: None)
    local: dict[str, Any] = {
        "num_cpus": max(1, math.ceil(cpus)),
        "num_gpus": gpus,
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
