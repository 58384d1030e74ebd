"""Stands between a job and everything that may die: started detached, it keeps the job's exit code.

    python -I -S supervisor.py FOLDER        reads FOLDER/start.json {command, timeout_s}

The job inherits its environment, which so is written nowhere. It leaves in FOLDER:

- `pid.json`, by hard link, so that of two starters one runs the job and the other finds it running
- `log.txt`, what the job prints, as it comes
- `exit.json`, the exit code (128 + n for signal n) and the times, when the job has ended

It stops the job when `stop.json` {kill_at_s} appears (SIGTERM, then SIGKILL at that time) or its time is up,
and ends what is left of the job's processes, also of those that left its process group. Standard
library only: it is started outside the package.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, BinaryIO

POLL_S = 0.02
KILL_AFTER_TIMEOUT_S = 10.0
END_S = 5.0
PR_SET_CHILD_SUBREAPER = 36


def start_time(pid: int) -> str | None:
    """When a process started, in the kernel's ticks: with the pid it names a process for good.

    None if there is none; a zombie has ended.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return None
    return None if fields[0] in "ZX" else fields[19]


def boot_id() -> str:
    """Pids of an earlier boot mean nothing."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def boot_s() -> float:
    """When this machine was started, in seconds since 1970."""
    return float(Path("/proc/stat").read_text().split("btime ", 1)[1].split()[0])


def owner(folder: Path) -> dict[str, Any] | None:
    """Who runs the job in a folder, None if pid.json is not there or damaged."""
    return read(folder / "pid.json")


def alive(owner: dict[str, Any]) -> bool:
    """Whether a job's supervisor or the job itself is a process of this machine."""
    return same(owner, "supervisor", "started") or same(owner, "job", "job_started")


def same(owner: dict[str, Any], pid: str, started: str) -> bool:
    """A pid alone may be somebody else's by now: the start time and the boot must be the same."""
    if owner.get(pid) is None or owner.get("boot") != boot_id():
        return False
    began = start_time(owner[pid])
    return began is not None and began == owner.get(started)


def read(path: Path) -> dict[str, Any] | None:
    """What `write` has written, None if it is not there or damaged."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return values if isinstance(values, dict) else None


def write(path: Path, values: dict[str, Any]) -> None:
    """Write a file so that it is there whole or not at all."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_text(json.dumps(values), encoding="utf-8")
    fresh.rename(path)


def claim(folder: Path) -> bool:
    """Make pid.json for this supervisor. False if another one has it."""
    mine = folder / f".pid.{os.getpid()}"
    values = {
        "supervisor": os.getpid(),
        "started": start_time(os.getpid()),
        "boot": boot_id(),
        "host": socket.gethostname(),
    }
    mine.write_text(json.dumps(values), encoding="utf-8")
    try:
        os.link(mine, folder / "pid.json")
    except FileExistsError:
        return False
    finally:
        mine.unlink()
    return True


def run(folder: Path) -> None:
    """Run the job to its end."""
    order = json.loads((folder / "start.json").read_text(encoding="utf-8"))
    began = time.time()
    with (folder / "log.txt").open("ab", buffering=0) as log:
        try:
            job = subprocess.Popen(
                order["command"],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            log.write(f"{order['command'][0]}: {error.strerror}\n".encode())
            code = 127 if isinstance(error, FileNotFoundError) else 126
            write(folder / "exit.json", {"exit_code": code, "started_at_s": began, "ended_at_s": time.time()})
            return
        values = {**(owner(folder) or {}), "job": job.pid, "job_started": start_time(job.pid)}
        write(folder / "pid.json", values)
        code = watch(folder, job, order["timeout_s"], log)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(job.pid, signal.SIGKILL)
    end_children()
    code = 128 - code if code < 0 else code
    write(folder / "exit.json", {"exit_code": code, "started_at_s": began, "ended_at_s": time.time()})


def watch(folder: Path, job: subprocess.Popen[bytes], timeout_s: float | None, log: BinaryIO) -> int:
    """Wait for the job; on a stop request or when its time is up, end its whole process group.

    A later stop request may cut the grace of an earlier one short.
    """
    deadline_s = None if timeout_s is None else time.time() + timeout_s
    asked = False
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return job.wait(POLL_S)
        reap(job.pid)
        now = time.time()
        kill_at_s = _stop_wanted(folder)
        if kill_at_s is None and deadline_s is not None and now >= deadline_s:
            kill_at_s = deadline_s + KILL_AFTER_TIMEOUT_S
            with contextlib.suppress(OSError):  # a full disk must not keep the job from being stopped
                if not asked:
                    log.write(f"stopped: the job has reached its time limit of {timeout_s:g} s\n".encode())
        if kill_at_s is not None and now >= kill_at_s:
            _signal(job.pid, signal.SIGKILL)
        elif kill_at_s is not None and not asked:
            _signal(job.pid, signal.SIGTERM)
        asked = kill_at_s is not None


def adopt() -> None:
    """Become the parent of descendants whose parent dies, so that those that left the job's group are known."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def reap(job: int) -> None:
    """Let ended descendants go that were adopted; the job itself is waited for by `watch`."""
    with contextlib.suppress(ChildProcessError):
        while (found := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) and found.si_pid != job:
            os.waitpid(found.si_pid, 0)


def end_children() -> None:
    """Kill all descendants, also those that come up as their parents die; at most for some seconds."""
    until_s = time.monotonic() + END_S
    with contextlib.suppress(ChildProcessError):
        while time.monotonic() < until_s:
            for pid in children():
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(POLL_S)


def children() -> list[int]:
    """The living children of this process."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError):
            state, parent, *_ = (folder / "stat").read_text().rsplit(")", 1)[1].split()
            if int(parent) == os.getpid() and state not in "ZX":
                found.append(int(folder.name))
    return found


def _stop_wanted(folder: Path) -> float | None:
    try:
        return float(json.loads((folder / "stop.json").read_text(encoding="utf-8"))["kill_at_s"])
    except (OSError, ValueError, KeyError):
        return None


def _signal(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)


def main() -> None:
    folder = Path(sys.argv[1])
    if os.fork():
        os._exit(0)
    os.setsid()
    if os.fork():
        os._exit(0)
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # a job would inherit what a Ray worker blocks, SIGINT
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: None)  # a job would inherit SIG_IGN, but no handler
    if claim(folder):
        adopt()
        run(folder)


if __name__ == "__main__":
    main()
