"""Status lines and result folders, compared with numbers aside."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

SAMPLES = Path(__file__).parents[1] / "data" / "status_samples"


EXIT_CODES = dict(line.split(" exit=") for line in (SAMPLES / "exit_codes.txt").read_text().splitlines())


def masked(text: str) -> str:
    """Numbers and folders aside."""
    return re.sub(r"\d+(\.\d+)?(e-?\d+)?", "#", re.sub(r"/\S*/(?=\w)", "/", text))


def shape(line: dict[str, Any]) -> list[Any]:
    """Keys in their order, types, and the masked message of a status line."""
    return [
        (key, masked(value) if key in ("message", "status") else [(k, type(v)) for k, v in value.items()])
        if key in ("message", "status", "kpi")
        else (key, type(value))
        for key, value in line.items()
    ]


def shapes(path: Path) -> list[list[Any]]:
    return [shape(json.loads(line)) for line in path.read_text().splitlines()]


def tree(folder: Path) -> list[str]:
    """Files of a results folder as the samples list them, numbers aside."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_dir() or path.name in ("standin_env.json", "spec.yaml"):
            continue
        target = str(path.readlink()) if path.is_symlink() else ""
        found.append(masked(f"./{path.relative_to(folder)} {target}").strip())
    return sorted(found)


def sample_tree(name: str) -> list[str]:
    return sorted(masked(line).strip() for line in (SAMPLES / f"{name}.files.txt").read_text().splitlines())


def checkpoints(folder: Path) -> list[Path]:
    return sorted((folder / "train").glob("model_epoch_*.pth"))
