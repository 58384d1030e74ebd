"""A Docker engine of the tests' own, by `docker/engine`."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import docker

SCRIPT = Path(__file__).parents[1] / "docker" / "engine"
IMAGE = "tao-automl-standin:latest"
DEPLOY = "tao-automl-standin:deploy"
SOCKET_ROOM = 50  # of the temporary folder's path: that of a Unix socket may not be long
SIZE = "4g"  # of the engine's folder, where it is in memory
PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])


class EngineError(Exception):
    """`docker/engine` has failed; the message is what it said."""


def missing() -> str | None:
    """What this machine lacks for an engine."""
    if os.geteuid():
        return "a Docker engine is started by root only"
    lacking = [name for name in ("dockerd", "docker", "debootstrap") if shutil.which(name, path=PATH) is None]
    return f"not on this machine: {', '.join(lacking)} (apt-get install docker.io debootstrap)" if lacking else None


@dataclass(frozen=True)
class Container:
    """What the engine says of a container. Times are seconds since 1970, None before they come."""

    name: str
    id: str
    image: str
    state: str  # created, running, paused, exited …
    exit_code: int | None
    oom_killed: bool
    labels: dict[str, str]
    env: dict[str, str]
    gpus: tuple[str, ...]
    created_s: float | None
    started_s: float | None
    finished_s: float | None

    @classmethod
    def of(cls, found: dict[str, Any]) -> Container:
        state, config = found["State"], found["Config"]
        requests = found["HostConfig"].get("DeviceRequests") or []
        return cls(
            name=found["Name"].lstrip("/"),
            id=found["Id"],
            image=config["Image"],
            state=state["Status"],
            exit_code=state["ExitCode"] if state["Status"] in ("exited", "dead") else None,
            oom_killed=bool(state.get("OOMKilled")),
            labels=dict(config.get("Labels") or {}),
            env=dict(word.partition("=")[::2] for word in config.get("Env") or ()),
            gpus=tuple(gpu for request in requests for gpu in request.get("DeviceIDs") or ()),
            created_s=seconds(found["Created"]),
            started_s=seconds(state["StartedAt"]),
            finished_s=seconds(state["FinishedAt"]),
        )


def seconds(text: str) -> float | None:
    """Of a time as the engine writes it: up to nanoseconds; its zero is the year 1."""
    if text.startswith("0001"):
        return None
    whole, _, rest = text.removesuffix("Z").partition(".")
    return datetime.fromisoformat(whole + "+00:00").timestamp() + float(f"0.{rest or 0}")


class Engine:
    """An engine with the stand-in's image. Its containers outlive `stop` and `kill`, and end with `close`."""

    image = IMAGE

    def __init__(self, folder: Path | None = None) -> None:
        """`folder`: where all of it lies; else a temporary one that `close` removes."""
        self._owned = folder is None
        self.folder = folder or self._temporary()

    @staticmethod
    def _temporary() -> Path:
        """In memory if that can be: images and containers are many small files."""
        short = len(tempfile.gettempdir()) <= SOCKET_ROOM
        folder = Path(tempfile.mkdtemp(prefix="engine-", dir=None if short else "/tmp"))
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "engine", folder], capture_output=True, check=False
        )
        return folder

    @property
    def socket(self) -> Path:
        return self.folder / "docker.sock"

    @property
    def address(self) -> str:
        return f"unix://{self.socket}"

    def env(self) -> dict[str, str]:
        """What makes a Docker client use this engine."""
        return {"DOCKER_HOST": self.address}

    @property
    def pid(self) -> int | None:
        """Of dockerd, while it runs."""
        path = self.folder / "pid"
        return int(path.read_text()) if path.exists() and runs(int(path.read_text())) else None

    def start(self) -> None:
        """Start it, also after `stop` or `kill`; waits until it answers."""
        self._script("start", "--live-restore")

    def build(self) -> None:
        """Build the stand-in's image of this working tree; takes no time if there is nothing new."""
        self._script("image")

    def stop(self) -> None:
        """Stop dockerd as for an upgrade: what runs goes on."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill -9 of dockerd: what runs goes on."""
        self._end(signal.SIGKILL)

    def close(self) -> None:
        """End the engine and all of its processes."""
        self._script("stop")
        if self._owned:
            subprocess.run(["umount", self.folder], capture_output=True, check=False)
            shutil.rmtree(self.folder)

    def containers(self, all: bool = True) -> list[Container]:
        """Those that there are, also ended ones; without `all`, those that run. The newest first."""
        found = []
        with self.client() as client:
            for row in client.api.containers(all=all):
                with contextlib.suppress(docker.errors.NotFound):  # removed since
                    found.append(Container.of(client.api.inspect_container(row["Id"])))
        return found

    def remove_all(self) -> None:
        with self.client() as client:
            for row in client.api.containers(all=True):
                with contextlib.suppress(docker.errors.NotFound):
                    client.api.remove_container(row["Id"], force=True, v=True)

    def client(self) -> Any:
        """A client of the docker library, to be used in a `with`."""
        return contextlib.closing(docker.DockerClient(base_url=self.address, version="auto"))

    def docker(self, *words: str) -> str:
        """What a `docker` command prints."""
        env = {**os.environ, **self.env()}
        done = subprocess.run(["docker", *words], env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"docker {' '.join(words)}: exit {done.returncode}\n{done.stderr}"
        return done.stdout.strip()

    def _script(self, command: str, *options: str) -> None:
        words = [str(SCRIPT), command, str(self.folder), *options]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            raise EngineError(done.stderr.strip())

    def _end(self, number: signal.Signals) -> None:
        pid = self.pid
        if pid is None:
            return
        os.kill(pid, number)
        end = time.monotonic() + 30
        while runs(pid):
            assert time.monotonic() < end, "dockerd does not end"
            time.sleep(0.02)


def runs(pid: int) -> bool:
    """Whether there is such a process, and not only what is left of it until somebody waits for it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
