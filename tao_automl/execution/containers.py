"""What a job is as a container: pure values in the form of the Docker Engine API, in both directions."""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tao_automl.execution.job import JobSpec, JobStatus, Mount, Phase

LABEL = "tao-automl."
ENDED = ("exited", "dead", "removing")
HOLDING = ("created", "running", "paused", "restarting")  # states in which a container has its GPUs
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
CACHES = ".cache"
NOT_SEEN = 255  # what the engine puts down as exit code where it does not know it, because containerd died

# The container's log is the only copy until it is in log.txt, so the engine may neither rotate it (its own default
# may) nor drop lines when it is busy. It goes with the container, which goes when its trial is told.
LOG = {"Type": "json-file", "Config": {"max-size": "1p", "mode": "blocking"}}


@dataclass(frozen=True)
class Owner:
    """Whom the job's files belong to. Root needs no mapping: images run as root by default."""

    uid: int
    gid: int
    name: str
    groups: tuple[int, ...] = ()

    @classmethod
    def of(cls, folder: Path) -> Owner:
        """The owner of a folder; of one that is not there yet, who would make it."""
        try:
            uid, gid = folder.stat().st_uid, folder.stat().st_gid
        except OSError:
            uid, gid = os.getuid(), os.getgid()
        try:
            name = pwd.getpwuid(uid).pw_name
            groups = os.getgrouplist(name, gid)
        except KeyError:
            name, groups = f"user{uid}", os.getgroups() if uid == os.getuid() else []
        return cls(uid, gid, name, tuple(sorted({*groups} - {gid})))


@dataclass(frozen=True)
class Place:
    """What the node has to do with it: its name, whom the job runs as, and the limits that its engine can give."""

    node: str
    owner: Owner
    ulimits: Mapping[str, int]


def environment(job: JobSpec, owner: Owner) -> dict[str, str]:
    """All that is set in the container but secrets; nothing comes from whoever starts it.

    A user without an entry in the image's passwd needs names and a writable home, else `import torch` fails.
    """
    env = {**dict.fromkeys(THREADS, str(max(1, int(job.cpus)))), "TELEMETRY_OPT_OUT": "1", "PYTHONUNBUFFERED": "1"}
    if not job.gpus:
        env["NVIDIA_VISIBLE_DEVICES"] = "void"  # else an engine with the NVIDIA runtime as default gives all
    if owner.uid:
        home = job.folder / CACHES
        env |= {"USER": owner.name, "LOGNAME": owner.name, "HOME": str(home), "XDG_CACHE_HOME": str(home)}
        caches = ("TORCH_HOME", "TRITON_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR", "MPLCONFIGDIR")
        env |= {name: str(home / name.split("_")[0].lower()) for name in caches}
    return {**env, **job.env}


def mounts(job: JobSpec) -> tuple[Mount, ...]:
    """What the container sees of the node: each path once, its own folder writable."""
    mine = Mount(str(job.folder), str(job.folder), read_only=False)
    return tuple({mount.container: mount for mount in (*job.mounts, mine)}.values())


def network(job: JobSpec) -> str | None:
    """None leaves it to the engine. Nodes that train together find each other on the hosts' network."""
    return "host" if job.nodes > 1 else job.network


def labels(job: JobSpec, gpus: Sequence[str], driver: str) -> dict[str, str]:
    """By these a container is found again, and its GPUs are known to be taken."""
    said = {
        "job": job.id,
        "study": job.study,
        "trial": "" if job.trial is None else str(job.trial),
        "attempt": "" if job.attempt is None else str(job.attempt),
        "gpus": ",".join(gpus),
        "gpu-share": f"{job.gpus:g}" if 0 < job.gpus < 1 else "",
        "driver": driver,
    }
    return {LABEL + name: value for name, value in said.items() if value}


def config(job: JobSpec, gpus: Sequence[str], place: Place, secrets: Mapping[str, str]) -> dict[str, Any]:
    """The body of the engine's request for a new container."""
    owner = place.owner
    host: dict[str, Any] = {
        # A path that is not there is an error: `Binds` would make it, as an empty folder of root's.
        "Mounts": [
            {"Type": "bind", "Source": mount.host, "Target": mount.container, "ReadOnly": mount.read_only}
            for mount in mounts(job)
        ],
        "Ulimits": [{"Name": name, "Soft": limit, "Hard": limit} for name, limit in place.ulimits.items()],
        "LogConfig": LOG,
        "AutoRemove": False,
        "RestartPolicy": {"Name": "no"},
        # With an init a stop would kill the launcher before the trainer has saved its checkpoint; as PID 1 the
        # launcher ignores SIGTERM. We stop by signalling the trainer, or by killing the container.
        "Init": False,
    }
    if job.shm_bytes is not None:
        host["ShmSize"] = job.shm_bytes
    if (mode := network(job)) is not None:
        host["NetworkMode"] = mode
    if gpus:  # never by count: that always means the first ones
        host["DeviceRequests"] = [{"DeviceIDs": list(gpus), "Capabilities": [["gpu"]]}]
    if owner.uid:
        host["GroupAdd"] = [str(group) for group in owner.groups]
    env = {**environment(job, owner), **secrets}
    return {
        "Image": job.image,
        "Cmd": list(job.command),
        "Env": [f"{name}={value}" for name, value in env.items()],
        "WorkingDir": str(job.folder),
        "Labels": labels(job, gpus, place.node),
        **({"User": f"{owner.uid}:{owner.gid}"} if owner.uid else {}),
        "HostConfig": host,
    }


def by_hand(job: JobSpec, place: Place) -> tuple[str, ...]:
    """A `docker run` that does the same, with the first GPUs; secrets are taken from who runs it, by name."""
    owner = place.owner
    words = ["docker", "run", "--rm", "--workdir", str(job.folder)]
    for mount in mounts(job):
        fields = ("type=bind", f"source={mount.host}", f"target={mount.container}")
        words += ["--mount", ",".join(map(_field, (*fields, *(("readonly",) if mount.read_only else ()))))]
    for name, value in environment(job, owner).items():
        words += ["--env", f"{name}={value}"]
    for name in job.secrets:
        words += ["--env", name]
    if job.gpus:
        words += ["--gpus", '"device={}"'.format(",".join(str(gpu) for gpu in range(max(1, int(job.gpus)))))]
    if job.shm_bytes is not None:
        words += ["--shm-size", str(job.shm_bytes)]
    for name, limit in place.ulimits.items():
        words += ["--ulimit", f"{name}={limit}"]
    if owner.uid:
        words += ["--user", f"{owner.uid}:{owner.gid}"]
        words += [word for group in owner.groups for word in ("--group-add", str(group))]
    if (mode := network(job)) is not None:
        words += ["--network", mode]
    return (*words, job.image, *job.command)


def _field(text: str) -> str:
    """One field of a line of comma separated values."""
    return '"{}"'.format(text.replace('"', '""')) if set(text) & set('",') else text


def status(job_id: str, found: Mapping[str, Any], node: str, boot_s: float | None = None) -> JobStatus:
    """What the engine's description of a container says of its job.

    `boot_s` is when the engine's machine was started, if that is known: the engine makes up an exit code for a
    container that ran until the machine went down.
    """
    state = found["State"]
    began, ended = seconds(state["StartedAt"]), seconds(state["FinishedAt"])
    known: dict[str, Any] = {"node": node, "gpus": gpus_of(found)}
    error = one_line(state.get("Error") or "") or None
    if state["Status"] == "created" or began is None:
        phase = Phase.EXITED if error or state["Status"] in ENDED else Phase.PENDING
        return JobStatus(job_id, phase, error=error, **known)
    known["started_at_s"] = began
    if state["Status"] not in ENDED:
        paused = "its container is paused" if state["Status"] == "paused" else None
        return JobStatus(job_id, Phase.RUNNING, pid=state["Pid"] or None, waits=paused, **known)
    survived = boot_s is None or began >= boot_s or (ended is not None and ended < boot_s)
    return JobStatus(
        job_id,
        Phase.EXITED,
        exit_code=state["ExitCode"] if survived and state["ExitCode"] != NOT_SEEN else None,
        # the engine notes a start only after the shim has said so, and a quick end may be noted before it
        ended_at_s=None if ended is None else max(began, ended),
        oom_killed=bool(state.get("OOMKilled")),
        **known,
    )


def gpus_of(found: Mapping[str, Any]) -> tuple[str, ...]:
    """The ids of a container's GPUs, by our label."""
    text = (found["Config"].get("Labels") or {}).get(LABEL + "gpus", "")
    return tuple(text.split(",")) if text else ()


def job_of(found: Mapping[str, Any]) -> str:
    """The id of the job that a container was made for by us, else ''."""
    return str((found["Config"].get("Labels") or {}).get(LABEL + "job", ""))


def held(found: Mapping[str, Any], usable: Sequence[str], other_names: Mapping[str, str]) -> dict[str, float]:
    """What a container, ours or not, has of each GPU. One that failed to start has none."""
    state = found["State"]
    if state["Status"] not in HOLDING or (state["Status"] == "created" and state.get("Error")):
        return {}
    share = float((found["Config"].get("Labels") or {}).get(LABEL + "gpu-share", 1.0))
    taken: dict[str, float] = {}
    for request in found["HostConfig"].get("DeviceRequests") or ():
        if not any("gpu" in wanted for wanted in request.get("Capabilities") or ()):
            continue
        count = request.get("Count") or 0
        first = [str(number) for number in range(count)] if count >= 0 else list(usable)
        for gpu in request.get("DeviceIDs") or first:
            taken[gpu if gpu in usable else other_names.get(gpu, gpu)] = share
    return taken


def seconds(text: str) -> float | None:
    """Since 1970, of a time as the engine writes it (RFC 3339, up to nanoseconds); None for its zero."""
    match = re.fullmatch(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)", text)
    if match is None or match[1].startswith("0001"):
        return None
    day, clock, fraction, zone = match.groups()
    whole = datetime.fromisoformat(f"{day}T{clock}{'+00:00' if zone == 'Z' else zone}")
    return whole.timestamp() + float(fraction or 0)


def one_line(text: str) -> str:
    """A message of the engine without its line ends."""
    return " ".join(text.split())


# Signals the children of the launcher, which is PID 1 or an init's child: TAO's trainer writes a checkpoint then.
# A container without such children has the trainer itself as PID 1. Only a shell and /proc are needed.
ASK = """
of() {
  for folder in /proc/[0-9]*; do
    while read -r key value rest; do
      [ "$key" = PPid: ] && [ "$value" = "$1" ] && echo "${folder#/proc/}"
    done 2>/dev/null <"$folder/status"
  done
}
launcher=1
read -r name </proc/1/comm
case $name in docker-init|tini) launcher=$(of 1) ;; esac
trainers=$(of "$launcher")
kill -TERM ${trainers:-$launcher}
"""
