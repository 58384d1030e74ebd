"""What the trainer sees of its surroundings, for tests of placement and isolation."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
from pathlib import Path

# Variables that a trainer must not inherit from whoever started it.
_LEAKS = re.compile(r"WORLD_SIZE|RANK|LOCAL_RANK|NODE_RANK|MASTER_.*|JOB_ID|CLOUD_BASED|RAY_.*")


def describe(path: Path) -> None:
    """Write a side file with GPUs, shared memory, user, limits and the names of leaked variables."""
    shm = Path("/dev/shm")
    values = {
        "NVIDIA_VISIBLE_DEVICES": os.environ.get("NVIDIA_VISIBLE_DEVICES"),
        "shm_bytes": shutil.disk_usage(shm).total if shm.is_dir() else None,
        "uid": os.getuid(),
        "gid": os.getgid(),
        "memlock": resource.getrlimit(resource.RLIMIT_MEMLOCK)[0],
        "stack": resource.getrlimit(resource.RLIMIT_STACK)[0],
        "leaked": sorted(name for name in os.environ if _LEAKS.fullmatch(name)),
    }
    path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
