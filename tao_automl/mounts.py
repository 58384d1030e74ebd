"""What a container sees of this machine: every path that its spec names, at the same path.

A spec then means the same inside and outside, and needs no rewriting. What a launch names is read-only; only
the job's own folder, which the runtime mounts, can be written, and what the user mounts as `rw`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from tao_automl.errors import UsageError
from tao_automl.execution.job import Mount

# Every image has these of its own: with the machine's in their place, nothing in it runs.
SYSTEM = frozenset(
    PurePosixPath(name)
    for name in (
        *("/", "/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/proc", "/root"),
        *("/run", "/sbin", "/sys", "/tmp", "/usr", "/usr/bin", "/usr/lib", "/usr/local", "/usr/sbin", "/var"),
    )
)
KERNEL = tuple(PurePosixPath(name) for name in ("/dev", "/proc", "/sys"))


def mounts(values: Mapping[str, Any], folder: Path, extra: Sequence[Mount]) -> tuple[Mount, ...]:
    """The mounts of a job, by their path in the container.

    Args:
        values: what is set over the template, by key path; every absolute path in it that exists on this
            machine is mounted, also in lists and mappings.
        folder: the job's own, which the runtime mounts: what lies in it is left out.
        extra: what the user mounts. It wins where both say something of the same path.

    Raises:
        UsageError: a path is one that belongs to the system.
    """
    found: dict[str, Mount] = {}
    for key, value in values.items():
        for path in _paths(value):
            if not path.is_relative_to(folder):
                found.update((mount.container, mount) for mount in same_path(path, key))
    found.update((mount.container, mount) for mount in extra)
    return tuple(found[path] for path in sorted(found) if not _is_covered(found[path], found.values()))


def same_path(path: Path, named_by: str) -> tuple[Mount, ...]:
    """A path at its own place. A link, or a path through one, comes with what it leads to.

    Raises:
        UsageError: the path, or what it leads to, belongs to the system; `named_by` is said.
    """
    real = path.resolve()
    for place in (path, real):
        _refuse_system(place, named_by)
    return tuple(Mount(str(real), str(place)) for place in dict.fromkeys((path, real)))


def with_writable(found: Sequence[Mount], folders: Sequence[Path], named_by: str) -> tuple[Mount, ...]:
    """The mounts of a job that also writes to folders outside its own.

    Raises:
        UsageError: such a folder belongs to the system; `named_by` is said.
    """
    added = [replace(mount, read_only=False) for folder in folders for mount in same_path(folder, named_by)]
    places = {mount.container for mount in added}
    return (*(mount for mount in found if mount.container not in places), *added)


def named(texts: Sequence[str]) -> tuple[Mount, ...]:
    """The user's mounts: `HOST`, `HOST:CONTAINER` or `HOST:CONTAINER:rw`, absolute.

    Raises:
        UsageError: HOST does not exist on this machine, or a path belongs to the system.
    """
    return tuple(_named(text) for text in texts)


def _named(text: str) -> Mount:
    host, _, rest = text.partition(":")
    container, _, mode = rest.partition(":")
    if not Path(host).exists():
        raise UsageError(f"--mount {text}: {host} is missing", tip="name a folder or file of this machine")
    _refuse_system(Path(host).resolve(), "--mount")
    _refuse_system(Path(container or host), "--mount")
    return Mount(host, container or host, read_only=mode != "rw")


def _refuse_system(path: Path, named_by: str) -> None:
    place = PurePosixPath(path)
    if place in SYSTEM or any(place.is_relative_to(root) for root in KERNEL):
        raise UsageError(
            f"{named_by}: {path} belongs to the system and cannot be mounted into a container",
            tip="name the folder below it that is meant",
            code="system-path",
        )


def _paths(value: Any) -> Iterator[Path]:
    """The absolute paths in a value that exist on this machine."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _paths(item)
    elif isinstance(value, (str, Path)) and str(value).startswith("/"):
        path = Path(value)
        if _exists(path):
            yield Path(os.path.normpath(path))


def _exists(path: Path) -> bool:
    """Also false for text that only looks like a path."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _is_covered(mount: Mount, others: Iterable[Mount]) -> bool:
    """True if another mount shows the same thing at the same path: a file of a mounted folder."""
    place = PurePosixPath(mount.container)
    for other in others:
        if other is mount or not place.is_relative_to(other.container):
            continue
        seen = Path(other.host) / place.relative_to(other.container)
        if mount.read_only == other.read_only and seen.resolve() == Path(mount.host).resolve():
            return True
    return False
