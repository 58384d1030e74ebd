"""A training on several nodes: one container each, told by variables which of them it is."""

from __future__ import annotations

import os
from pathlib import Path


def rank() -> int:
    """Which of the nodes that train together this is; 0 writes, and is the only one of a usual training."""
    together = int(os.environ.get("WORLD_SIZE", "1")) > 1
    return int(os.environ.get("NODE_RANK", "0")) if together else 0


def visible_gpus() -> list[str]:
    """Ids of the GPUs that the container was given."""
    text = os.environ.get("NVIDIA_VISIBLE_DEVICES", "")
    return [] if text in ("", "all", "none", "void") else text.split(",")


def take_over(path: Path) -> None:
    """A WORLD_SIZE, which is TAO's number of nodes, replaces what the spec says of nodes and GPUs, in the file."""
    number = os.environ.get("WORLD_SIZE")
    if number is None:
        return
    import yaml  # noqa: PLC0415  # the launcher does without it

    spec = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    gpus = int(os.environ.get("NUM_GPU_PER_NODE", "0")) or max(1, len(visible_gpus()))
    given = {"num_nodes": int(number), "num_gpus": gpus, "gpu_ids": list(range(gpus))}
    train = spec.setdefault("train", {})
    if given.items() <= train.items():  # another node may be reading the file
        return
    train.update(given)
    try:
        path.write_text(yaml.safe_dump(spec), encoding="utf-8")
    except OSError as error:
        print(f"WARNING - the spec cannot be changed: {error}")
