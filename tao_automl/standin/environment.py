"""What the trainer sees of its surroundings, for tests of placement and isolation."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import socket
import time
from itertools import chain
from pathlib import Path
from typing import Any

from tao_automl.standin import nodes, specfile

# Variables that a trainer must not inherit from whoever started it.
_LEAKS = re.compile(r"WORLD_SIZE|RANK|LOCAL_RANK|NODE_RANK|MASTER_.*|JOB_ID|CLOUD_BASED|RAY_.*")
_SHOWN = (
    *("NVIDIA_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES", "HOME", "USER"),
    *("WORLD_SIZE", "NODE_RANK", "MASTER_ADDR", "MASTER_PORT", "NUM_GPU_PER_NODE"),
)


class Diary:
    """Keeps a side file while the training lasts: standin_env.json, on the other nodes standin_env_<rank>.json.

    GPUs, shared memory, user, limits, variables, which of the spec's data can be written to, and the times of
    beginning and end; a training that is killed has no end.
    """

    def __init__(self, folder: Path, spec: dict[str, Any]) -> None:
        rank = nodes.rank()
        self._path = folder / (f"standin_env_{rank}.json" if rank else "standin_env.json")
        self._values = describe(spec)

    def __enter__(self) -> None:
        self._write({"started_s": time.time(), "ended_s": None})

    def __exit__(self, *_: object) -> None:
        self._write({"ended_s": time.time()})

    def _write(self, times: dict[str, float | None]) -> None:
        self._values |= times
        self._path.write_text(json.dumps(self._values, indent=2) + "\n", encoding="utf-8")


def describe(spec: dict[str, Any]) -> dict[str, Any]:
    """Variables by their name; `leaked` and `variables` hold names only, `data_writable` a flag for each path."""
    shm = Path("/dev/shm")
    data = [specfile.sources(specfile.get(spec, f"dataset.{split}_data_sources")) for split in ("train", "val")]
    return {
        **{name: os.environ.get(name) for name in _SHOWN},
        "hostname": socket.gethostname(),
        "pid": os.getpid(),
        "shm_bytes": shutil.disk_usage(shm).total if shm.is_dir() else None,
        "uid": os.getuid(),
        "gid": os.getgid(),
        "groups": sorted(os.getgroups()),
        "memlock": resource.getrlimit(resource.RLIMIT_MEMLOCK)[0],
        "stack": resource.getrlimit(resource.RLIMIT_STACK)[0],
        "leaked": sorted(name for name in os.environ if _LEAKS.fullmatch(name)),
        "variables": sorted(os.environ),
        "data_writable": {str(path): os.access(path, os.W_OK) for source in chain(*data) for path in source},
    }
