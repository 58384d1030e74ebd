"""What this machine can give a trial: GPUs, shares of them, nodes, and the secrets of its environment."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass

from tao_automl.config import Settings
from tao_automl.errors import PlatformError, UsageError
from tao_automl.execution import gpus

ROUNDING = 1e-9  # 1 / 0.1 holds ten


@dataclass(frozen=True)
class Need:
    """What one trial needs. `gpus` counts whole devices on each node, or is a share of one below 1."""

    gpus: float
    nodes: int
    in_containers: bool


def gpus_here(settings: Settings) -> int:
    """The GPUs of this machine: what was asked, else those that are there and that CUDA_VISIBLE_DEVICES leaves."""
    named: int | None = settings["node_gpus"]
    if named is not None:
        return named
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    there = gpus.count_here()
    if visible is None:
        return there
    return min(there, sum(bool(name.strip()) and name.strip() != "-1" for name in visible.split(",")))


def fitting(each: float, devices: int) -> int:
    """How many trials so many devices hold; a share never lies on two of them."""
    if each < 1:
        return devices * int(1 / each + ROUNDING)
    return devices // math.ceil(each)


def secrets(settings: Settings) -> dict[str, str]:
    """The values of the variables that are named without one, for those that have any."""
    return {name: os.environ[name] for name, value in settings["env"].items() if value is None and name in os.environ}


def check_shares(need: Need, settings: Settings) -> None:
    """Raises:
    UsageError: a share of a GPU is asked where it cannot be had, or not unless it is asked for twice.
    """
    if not 0 < need.gpus < 1:
        return
    if need.nodes > 1:
        raise UsageError(f"--gpus {need.gpus}: a trial on {need.nodes} nodes needs whole GPUs", tip="--gpus 1")
    if need.in_containers and settings["share_gpus"] == "off":
        raise UsageError(
            f"--gpus {need.gpus}: nothing keeps containers that share a GPU out of each other's memory",
            tip="--gpus 1, or --share-gpus on if the trials are small enough",
            code="shared-gpu",
        )


def check_secrets(settings: Settings) -> None:
    """Raises:
    UsageError: a secret is named that has no value in the environment.
    """
    given = secrets(settings)
    for name, value in settings["env"].items():
        if value is None and not given.get(name):
            raise UsageError(
                f"--env {name}: the environment has no {name}",
                tip=f"export {name} before this command: a value after --env would be kept in study.yaml",
                code="secret-missing",
            )


def check_room(need: Need, here: int | None) -> None:
    """That this machine alone can hold a trial.

    Args:
        here: its GPUs; None if no trial needs one.

    Raises:
        PlatformError: a trial needs more nodes or GPUs.
    """
    if need.nodes > 1:
        raise PlatformError(
            f"a trial needs {need.nodes} nodes, and this machine is one",
            tip="--address of a Ray cluster that has them; docs/cluster.md says how to get one",
            code="no-such-node",
        )
    if here is not None and need.gpus > here:
        fewer = f"--gpus {here}, or " if here else ""
        wanted = f"{need.gpus:g} GPU" if need.gpus <= 1 else f"{need.gpus:g} GPUs"
        raise PlatformError(
            f"a trial needs {wanted}, and this machine has {here}",
            tip=f"{fewer}--address of a cluster that has them",
            code="no-such-node",
        )
