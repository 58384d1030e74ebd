"""Is this machine ready: versions, runtimes, disk, studies, models. It looks, and changes nothing."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tao_automl import __version__
from tao_automl.config import KEYS, Layer, environment, resolve
from tao_automl.errors import AutoMLError
from tao_automl.execution import runtimes
from tao_automl.layout import StudiesPaths, skills_dir
from tao_automl.plan import CONTAINERS
from tao_automl.search import study as storage
from tao_automl.tao.bank import Bank
from tao_automl.tao.skill import Skill

OK, INFO, WARN, FAIL = "ok", "info", "warn", "fail"
PYTHON = (3, 10), (3, 13)
ASK_S = 10.0  # how long another program may take to answer
SHARED_MEMORY = Path("/dev/shm")


@dataclass(frozen=True)
class Check:
    """What was looked at. `state` is ok, info (only needed for some runtimes), warn or fail."""

    name: str
    state: str
    text: str
    tip: str = ""

    def as_dict(self) -> Mapping[str, Any]:
        return {"name": self.name, "state": self.state, "text": self.text, "tip": self.tip or None}


def checks(studies_dir: Path, storage_url: str | None = None) -> Iterator[Check]:
    """Every check, one after the other, as each gets its answer. `storage_url` is None for the folder's own."""
    yield _python()
    yield from (_package(name) for name in ("optuna", "ray"))
    yield from (_runtime(name) for name in runtimes.names())
    query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    yield from _program("gpus", query, "GPU")
    yield _shared_memory()
    yield _disk(studies_dir)
    yield _studies(StudiesPaths(studies_dir), storage_url)
    yield from _models()


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    text = f"Python {version}, tao-automl {__version__}"
    if PYTHON[0] <= sys.version_info[:2] <= PYTHON[1]:
        return Check("python", OK, text)
    return Check("python", FAIL, text, "Python 3.10 to 3.13 is needed")


def _package(name: str) -> Check:
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        version = None
    if version is None or importlib.util.find_spec(name) is None:
        return Check(name, FAIL, f"{name} is not installed", f"pip install {name}")
    return Check(name, OK, f"{name} {version}")


def _runtime(name: str) -> Check:
    """Not every machine needs every runtime: one that cannot work is no failure, and containers are optional."""
    probe = runtimes.by_name(name).probe()
    text = f"runtime {name}: {probe.detail}"
    missing = INFO if name == CONTAINERS else WARN
    return Check(f"runtime {name}", OK if probe.ok else missing, text, probe.tip)


def _program(name: str, command: list[str], title: str) -> Iterator[Check]:
    """A program that only some runtimes need: one line for each line of its answer."""
    if shutil.which(command[0]) is None:
        yield Check(name, INFO, f"{title}: no {command[0]} here; the process and standin runtimes need none")
        return
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=ASK_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        yield Check(name, INFO, f"{title}: {command[0]} does not answer: {error}")
        return
    said = (done.stdout if done.returncode == 0 else done.stderr or done.stdout).strip().splitlines()
    if done.returncode:
        yield Check(name, INFO, f"{title}: {command[0]} says: {said[-1] if said else done.returncode}")
        return
    for line in said:
        yield Check(name, OK, f"{title}: {line.strip()}")


def _shared_memory() -> Check:
    """What data loaders of the process runtime share; containers have their own, by --shm-size."""
    name, wanted = "shared memory", KEYS["shm_size"].default
    if not SHARED_MEMORY.is_dir():
        return Check(name, INFO, f"shared memory: no {SHARED_MEMORY} here; the standin runtime needs none")
    total = shutil.disk_usage(SHARED_MEMORY).total
    text = f"shared memory: {SHARED_MEMORY} has {total / 2**30:.1f} GiB"
    if total < wanted:
        tip = f"{wanted / 2**30:.0f} GiB are a good size for TAO with --runtime process; containers have their own"
        return Check(name, INFO, text, tip)
    return Check(name, OK, text)


def _disk(folder: Path) -> Check:
    """The studies folder need not exist: its nearest parent says what will be."""
    there = folder
    while not there.exists():
        there = there.parent
    name, needed = "disk", KEYS["min_free"].default
    if not os.access(there, os.W_OK | os.X_OK):
        return Check(name, FAIL, f"{folder} is not writable", "--studies-dir DIR names another folder")
    free = shutil.disk_usage(there).free
    text = f"{folder} is writable, {free / 2**30:.1f} GiB free"
    if free < needed:
        return Check(name, FAIL, text, f"make room: {needed / 2**20:.0f} MiB are needed")
    return Check(name, OK, text)


def _studies(layout: StudiesPaths, storage_url: str | None) -> Check:
    if storage_url is None and not layout.database.exists():
        return Check("studies", OK, "no studies yet")
    url = storage_url or layout.storage_url
    try:
        known = storage.names(storage.open_readonly(url))
    except AutoMLError as error:
        return Check("studies", FAIL, error.message, error.tip)
    return Check("studies", OK, f"{len(known)} studies in {url}")


def _models() -> Iterator[Check]:
    """One line for those that are ready, and one for each that is not: the others run all the same."""
    try:
        own = environment().values.get("skill_dir")
        roots = (*resolve([Layer("environment", {"skill_dir": own})])["skill_dir"], skills_dir())
        found, broken = Bank.of(*roots).all()
    except AutoMLError as error:
        yield Check("models", FAIL, error.message, error.tip)
        return
    where = " and ".join(map(str, roots))
    wrong = [check for item in found if (check := _unready(item)) is not None]
    yield from wrong
    yield from (Check(f"model {item.model}", WARN, item.error.message, item.error.tip) for item in broken)
    if len(wrong) < len(found):
        ready = f"{len(found) - len(wrong)} of {len(found) + len(broken)} models under {where} are ready"
        yield Check("models", OK, ready)
    else:
        yield Check("models", FAIL, f"no models under {where}", "TAO_AUTOML_SKILLS names more folders")


def _unready(item: Skill) -> Check | None:
    try:
        item.schema("train")
        item.template("train")
    except AutoMLError as error:
        return Check(f"model {item.model}", WARN, error.message, error.tip)
    return None
