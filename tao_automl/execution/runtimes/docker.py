"""Jobs as containers of a Docker engine on this node.

A container is named as its job, and everything in it has the path that it has outside. What is known of a job is
what the engine says of its container; beside it lie in the job's folder:

- `log.txt`, what the job prints, copied as it comes by whoever watches it
- `container.json`, so that a container that vanished is told from one that never was, and why it did not start
- `stop.json`, that it is to be stopped and when, for whoever watches it next

An engine that does not answer is no failure of a job: its last known phase holds, and `waits` says so.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

from tao_automl.errors import PlatformError
from tao_automl.execution import claims, containers, gpus, images, limits, logs, stops
from tao_automl.execution.connection import Connection, NoAnswerError, RefusedError
from tao_automl.execution.containers import Owner, Place
from tao_automl.execution.job import JobSpec, JobStatus, Phase, Site
from tao_automl.execution.runtimes import NOTHING, Probe, supervisor

TIMEOUT_S = 30.0
LOG_WAIT_S = 5.0
DEFAULT_ADDRESS = "unix:///var/run/docker.sock"

_ABSENT = 404
_CONFLICT = 409
# An engine that is going down, or whose containerd is away, answers with an error of its own: it is to be asked again.
_PASSING = re.compile(r"shutting down|context canceled|transport is closing|containerd.sock", re.I)
_STOPPED = "it was stopped before it started"


@cache
def _runtime(address: str) -> DockerRuntime:
    return DockerRuntime(address)


def make() -> DockerRuntime:
    """One for each engine and process: it has the threads that copy logs."""
    return _runtime(os.environ.get("DOCKER_HOST") or DEFAULT_ADDRESS)


class DockerRuntime:
    """Runs jobs as containers of the engine that DOCKER_HOST names."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._engine = Connection(_Docker(address))
        self._node = socket.gethostname()
        self._lock = threading.Lock()
        self._followers: dict[str, logs.Follower] = {}
        self._stops: dict[str, stops.Stop] = {}
        self._ended_s: dict[str, float] = {}  # when a container was first seen to have ended
        self._copied: set[str] = set()

    def command(self, job: JobSpec) -> tuple[str, ...]:
        return containers.by_hand(job, Place(self._node, Owner.of(job.folder), limits.ulimits(self._address)))

    def attach_or_start(self, job: JobSpec, site: Site = NOTHING) -> JobStatus:
        """Raises:
        PlatformError: the folder cannot be written, a secret has no value, or another job's container has the name.
        """
        try:
            job.folder.mkdir(parents=True, exist_ok=True)
            state = self.poll(job)
            if state.phase is Phase.UNKNOWN:
                state = self._create(job, site)
            if state.phase is Phase.PENDING and state.waits is None:
                state = self._start(job)
        except OSError as error:
            raise PlatformError(f"job {job.id} cannot be started: {error}", tip=f"look at {job.folder}") from None
        except NoAnswerError as error:
            return JobStatus(job.id, Phase.PENDING, node=self._node, waits=str(error))
        return state

    def poll(self, job: JobSpec) -> JobStatus:
        """Raises:
        PlatformError: a container that is not this job's has its name.
        """
        marker = supervisor.read(job.folder / "container.json")
        try:
            found = self._inspect(job.id)
        except NoAnswerError as error:
            if not job.folder.is_dir():
                return JobStatus(job.id, Phase.UNKNOWN)
            phase = Phase.PENDING if marker is None else Phase.RUNNING
            return JobStatus(job.id, phase, node=self._node, waits=str(error))
        if found is None:
            return self._absent(job, marker)
        if found["Config"].get("WorkingDir") != str(job.folder):
            raise PlatformError(
                f"a container named {job.id} is there already, and it is not the one of {job.folder}",
                tip=f"give the study another --name, or remove it: docker rm -f {job.id}",
            )
        if marker is None:
            self._mark(job)
        return self._present(job, found, marker or {})

    def stop(self, job: JobSpec, grace_s: float) -> None:
        kill_at_s = time.time() + grace_s
        if job.folder.is_dir():
            stops.intend(job.folder, kill_at_s)
        self._carry_out(job, job.id, kill_at_s)

    def remove(self, job: JobSpec) -> None:
        """Raises:
        PlatformError: a container that is not this job's has its name.
        """
        if self.poll(job).phase is not Phase.EXITED:
            return
        try:
            if self._inspect(job.id) is not None:
                self._engine.ask(lambda api: api.remove_container(job.id, v=True))
        except (NoAnswerError, RefusedError):
            return  # it keeps its marker, so it is still known
        for name in ("container.json", stops.FILE):
            (job.folder / name).unlink(missing_ok=True)
        shutil.rmtree(job.folder / containers.CACHES, ignore_errors=True)
        self._copied.discard(job.id)
        self._ended_s.pop(job.id, None)

    def found(self, study: str) -> tuple[JobStatus, ...]:
        """Raises:
        PlatformError: the engine does not answer.
        """
        wanted = {"label": f"{containers.LABEL}study={study}"}
        with self._must_answer():
            entries = self._engine.ask(lambda api: api.containers(all=True, filters=wanted))
            each = [self._inspect(entry["Id"]) for entry in entries]
        return tuple(self._status(containers.job_of(one), one) for one in each if one and containers.job_of(one))

    def end(self, job_id: str) -> None:
        """Raises:
        PlatformError: the engine does not answer, or does not remove it.
        """
        with self._must_answer():
            found = self._inspect(job_id)
            if found is None or containers.job_of(found) != job_id:
                return
            try:
                self._engine.ask(lambda api: api.remove_container(found["Id"], force=True, v=True))
            except RefusedError as error:
                if error.status not in (_ABSENT, _CONFLICT):  # gone, or another one removes it
                    raise

    def prepare(self, job: JobSpec, say: Callable[[str], None]) -> None:
        with self._must_answer():
            self._engine.ask(lambda api: api.ping(), patient=False)
            there = self._has(job.image)
            if not there and job.image_policy == "never":
                raise PlatformError(
                    f"image {job.image} is not on node {self._node}, and it is never to be pulled",
                    tip=f"docker pull {job.image} there, or set image_policy to missing",
                    code="image",
                )
            if not there or job.image_policy == "always":
                images.pull(job.image, lambda: self._engine.stream(lambda api: _pull(api, job.image)), say)

    def probe(self) -> Probe:
        try:
            about = self._engine.ask(lambda api: api.info(), patient=False)
        except (NoAnswerError, RefusedError) as error:
            return Probe(False, str(error), _tip(str(error)))
        can = "nvidia" in about.get("Runtimes", {}) or shutil.which("nvidia-container-runtime-hook")
        gives = "it can give GPUs" if can else "no NVIDIA runtime is seen, so it cannot give GPUs"
        tip = "" if can else "for GPUs, install the NVIDIA container toolkit"
        return Probe(True, f"Docker {about['ServerVersion']} answers at {self._address}; {gives}", tip)

    @contextlib.contextmanager
    def _must_answer(self) -> Any:
        try:
            yield
        except (NoAnswerError, RefusedError) as error:
            raise PlatformError(str(error), tip=_tip(str(error)), code="docker") from None

    def _inspect(self, name: str) -> dict[str, Any] | None:
        """The engine's description of a container, None if there is none."""
        try:
            found: dict[str, Any] = self._engine.ask(lambda api: api.inspect_container(name))
        except RefusedError as error:
            if error.status == _ABSENT:
                return None
            raise NoAnswerError(f"the Docker engine at {self._address} cannot tell: {error}") from None
        return found

    def _has(self, image: str) -> bool:
        try:
            self._engine.ask(lambda api: api.inspect_image(image))
        except RefusedError as error:
            if error.status == _ABSENT:
                return False
            raise
        return True

    def _status(self, job_id: str, found: dict[str, Any]) -> JobStatus:
        boot_s = supervisor.boot_s() if self._address.startswith("unix:") else None
        return containers.status(job_id, found, self._node, boot_s)

    def _absent(self, job: JobSpec, marker: dict[str, Any] | None) -> JobStatus:
        """A job without a container: never started, did not start, is elsewhere, or its container vanished."""
        if marker is None:
            if stops.read(job.folder) is not None:
                return JobStatus(job.id, Phase.EXITED, node=self._node, error=_STOPPED)
            return JobStatus(job.id, Phase.UNKNOWN)
        node = marker.get("node")
        if node != self._node:
            return JobStatus(job.id, Phase.PENDING, node=node, waits=f"it runs on {node}")
        return JobStatus(job.id, Phase.EXITED, node=node, error=marker.get("error"))

    def _present(self, job: JobSpec, found: dict[str, Any], marker: dict[str, Any]) -> JobStatus:
        status = self._status(job.id, found)
        if status.phase is Phase.PENDING:
            error = marker.get("error") or (_STOPPED if stops.read(job.folder) else None)
            return replace(status, phase=Phase.EXITED, error=error) if error else status
        if status.phase is Phase.RUNNING:
            self._follow(job, found["Id"])
            self._enforce(job, found["Id"], status)
        elif status.started_at_s is not None and not self._log_is_whole(job, found["Id"]):
            return replace(status, phase=Phase.RUNNING, exit_code=None, ended_at_s=None, oom_killed=False)
        return status

    def _create(self, job: JobSpec, site: Site) -> JobStatus:
        missing = [name for name in job.secrets if name not in site.secrets]
        if missing:
            raise PlatformError(f"secret {missing[0]} of job {job.id} has no value", tip=f"export {missing[0]}=…")
        place = Place(self._node, self._owner(job), limits.ulimits(self._address))
        with gpus.node_lock() if job.gpus else contextlib.nullcontext():
            taken, holders = self._taken(site.gpus) if job.gpus else ({}, {})
            ids = gpus.choose(site.gpus, taken, job.gpus)
            if ids is None:
                waits = gpus.waiting(site.gpus, holders, job.gpus)
                return JobStatus(job.id, Phase.PENDING, node=self._node, waits=waits)
            secrets = {name: site.secrets[name] for name in job.secrets}
            config = containers.config(job, ids, place, secrets)
            try:
                self._engine.ask(lambda api: api.create_container_from_config(config, job.id))
            except RefusedError as error:
                if error.status != _CONFLICT:  # the name is taken: another one was faster
                    return self._failed(job, error)
        return self.poll(job)

    def _owner(self, job: JobSpec) -> Owner:
        """Whom the container runs as; with a home, where it needs one.

        Under a rootless engine root inside is the engine's user outside, and every other user is nobody.
        """
        about = self._engine.ask(lambda api: api.info())
        if any("rootless" in option for option in about.get("SecurityOptions") or ()):
            return Owner(0, 0, "root")
        owner = Owner.of(job.folder)
        if owner.uid:
            home = job.folder / containers.CACHES
            home.mkdir(exist_ok=True)
            if os.getuid() == 0:
                os.chown(home, owner.uid, owner.gid)
        return owner

    def _taken(self, usable: tuple[str, ...]) -> tuple[dict[str, float], dict[str, str]]:
        """What is held of each GPU, by containers of anybody and by processes of ours, and by whom."""
        taken, holders = claims.held()
        states = {"status": list(containers.HOLDING)}
        for entry in self._engine.ask(lambda api: api.containers(all=True, filters=states)):
            found = self._inspect(entry["Id"])
            for gpu, share in containers.held(found, usable, gpus.other_names()).items() if found else ():
                taken[gpu] = taken.get(gpu, 0.0) + share
                holders[gpu] = str(found["Name"]).strip("/") if found else ""
        return taken, holders

    def _start(self, job: JobSpec) -> JobStatus:
        """Under a lock, for to start a container again that has ended meanwhile would run its job twice."""
        with gpus.node_lock(f"start-{zlib.crc32(job.id.encode()) % 64}"):
            found = self._inspect(job.id)
            if found is not None and self._status(job.id, found).phase is Phase.PENDING:
                try:
                    self._engine.ask(lambda api: api.start(job.id))
                except RefusedError as error:
                    return self._failed(job, error)
        return self.poll(job)

    def _failed(self, job: JobSpec, error: RefusedError) -> JobStatus:
        if error.status in (0, _CONFLICT) or _PASSING.search(str(error)):
            raise NoAnswerError(f"the Docker engine at {self._address} cannot start it now: {error}")
        self._mark(job, str(error))
        return JobStatus(job.id, Phase.EXITED, node=self._node, error=str(error))

    def _mark(self, job: JobSpec, error: str | None = None) -> None:
        values = {"id": job.id, "node": self._node, **({"error": error} if error else {})}
        with contextlib.suppress(OSError):  # a full disk: the container itself is the truth
            supervisor.write(job.folder / "container.json", values)

    def _enforce(self, job: JobSpec, name: str, status: JobStatus) -> None:
        """Carry out what was intended for the job, and end it when its time is up."""
        intent, now_s = stops.read(job.folder), time.time()
        over = job.timeout_s is not None and now_s >= (status.started_at_s or now_s) + job.timeout_s
        if over and (intent is None or not intent.line):
            line = f"stopped: the job has reached its time limit of {job.timeout_s:g} s\n"
            intent = stops.intend(job.folder, now_s, line)
        if intent is not None:
            self._carry_out(job, name, intent.kill_at_s)

    def _carry_out(self, job: JobSpec, name: str, kill_at_s: float) -> None:
        with self._lock:
            thread = self._stops.get(job.id)
            if thread is not None and thread.is_alive():
                thread.hasten(kill_at_s)
            else:
                container = stops.Container(self._engine, name, job.folder)
                thread = self._stops[job.id] = stops.Stop(job.folder, kill_at_s, container)
                thread.start()

    def _follow(self, job: JobSpec, name: str) -> None:
        with self._lock:
            thread = self._followers.get(job.id)
            if thread is None or not thread.is_alive():
                thread = self._followers[job.id] = logs.Follower(job.folder / "log.txt", self._engine, name)
                thread.start()

    def _log_is_whole(self, job: JobSpec, name: str) -> bool:
        """Copy what is missing of an ended container's log. Also True where that is hopeless."""
        if job.id in self._copied:
            return True
        first_s = self._ended_s.setdefault(job.id, time.monotonic())
        if (follower := self._followers.pop(job.id, None)) is not None:
            follower.join(1.0)
        intent = stops.read(job.folder)
        last = intent.line.encode() if intent else b""
        try:
            logs.copy(job.folder / "log.txt", logs.stream(self._engine, name), last)
        except BlockingIOError:  # another process is at it
            return time.monotonic() - first_s > LOG_WAIT_S
        except NoAnswerError:
            return False
        except (OSError, RefusedError):
            return True
        self._copied.add(job.id)
        return True


class _Docker:
    """The docker client library, which is imported when the first engine is asked."""

    def __init__(self, address: str) -> None:
        self._address = address

    def connect(self) -> Any:
        import docker

        options = {**docker.utils.kwargs_from_env(), "base_url": self._address}
        return docker.APIClient(**options, version="auto", timeout=TIMEOUT_S)

    def errors(self) -> tuple[type[Exception], ...]:
        import docker
        import requests
        import urllib3

        broken = (struct.error, ConnectionError, TimeoutError)  # a stream that broke off
        return (docker.errors.DockerException, requests.RequestException, urllib3.exceptions.HTTPError, *broken)

    def meaning(self, error: Exception) -> NoAnswerError | RefusedError:
        import docker

        line = containers.one_line(str(getattr(error, "explanation", None) or error))
        if isinstance(error, docker.errors.APIError) and error.status_code not in (502, 503, 504):
            return RefusedError(error.status_code or 0, line)
        if isinstance(error, docker.errors.DockerException) and "server API version" not in line:
            return RefusedError(400, line)  # what the library itself does not accept, such as a reference
        causes = re.findall(r"Error\(\d+, '([^']+)'\)", line)  # without the names of the libraries' classes
        said = causes[-1] if causes else line or type(error).__name__
        return NoAnswerError(f"the Docker engine at {self._address} does not answer: {said}")


def _pull(api: Any, image: str) -> Any:
    api.reload_config()  # for a login since
    return api.pull(image, stream=True, decode=True)


def _tip(said: str) -> str:
    if "ermission denied" in said:
        return "this user may not use its socket: sudo usermod -aG docker $USER, and log in again"
    return "is it running (systemctl status docker)? DOCKER_HOST names another one"
