"""Checkpoint files: what training saved, in one archive of arrays that appears complete or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]
META = "__meta__"
PADDING = "__padding__"


@dataclass(frozen=True)
class Saved:
    """The content of a checkpoint. `batches` is how far a broken epoch had come, 0 for a whole one.

    names: of the classes, where the network has names for them.
    """

    arrays: Arrays
    epoch: int
    step: int
    batches: int
    network: str
    names: tuple[str, ...] = ()


def save(path: Path, saved: Saved) -> None:
    """Write a checkpoint; STANDIN_CHECKPOINT_BYTES makes it at least that large."""
    meta: dict[str, Any] = {
        "epoch": saved.epoch,
        "step": saved.step,
        "batches": saved.batches,
        "network": saved.network,
    }
    meta |= {"names": saved.names} if saved.names else {}
    arrays = {**saved.arrays, META: np.array(json.dumps(meta))}
    wanted = int(os.environ.get("STANDIN_CHECKPOINT_BYTES", "0"))
    if wanted:
        arrays[PADDING] = np.zeros(wanted, dtype=np.uint8)
    fresh = path.with_name(f".{path.name}.part")
    with fresh.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]  # numpy's stub takes keyword arrays for its flag
    fresh.rename(path)


def load(path: Path) -> Saved:
    """Read a checkpoint.

    Raises:
        FileNotFoundError: it is not there.
        ValueError: it is no checkpoint.
    """
    if path.suffix not in (".pth", ".tlt"):
        raise ValueError(f"checkpoint path must end in .pth or .tlt: {path}")
    if not path.is_file():
        raise FileNotFoundError(f"Checkpoint file not found: {path}")
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files if name != PADDING}
        meta = json.loads(str(arrays.pop(META)))
    except (OSError, KeyError, ValueError):
        raise ValueError(f"{path} is no checkpoint of this trainer") from None
    names = tuple(meta.get("names", ()))
    return Saved(arrays, meta["epoch"], meta["step"], meta["batches"], meta["network"], names)


def require_same_shapes(own: Mapping[str, NDArray[Any]], saved: Mapping[str, NDArray[Any]]) -> None:
    """Raises:
    RuntimeError: the spec's architecture is not that of the checkpoint.
    """
    wrong = [name for name, array in own.items() if name not in saved or saved[name].shape != array.shape]
    if wrong:
        raise RuntimeError(f"Error(s) in loading state_dict: size mismatch for {', '.join(wrong)}")


class Folder:
    """The checkpoints of one training run and the link to the newest. In a read-only one, saving does nothing."""

    def __init__(self, path: Path, latest: str, read_only: bool = False) -> None:
        self._path = path
        self._read_only = read_only
        self._latest = path / latest

    def newest(self) -> Path | None:
        """What an interrupted run left, to go on from."""
        return self._latest.resolve() if self._latest.exists() else None

    def save(self, saved: Saved) -> Path:
        """Save an epoch and move the link to it."""
        path = self._path / f"model_epoch_{saved.epoch:03d}_step_{saved.step:05d}.pth"
        if not self._read_only:
            save(path, saved)
            self.link(path)
        return path

    def save_best(self, saved: Saved) -> Path:
        """Save the best epoch beside the others and remove the one that was."""
        path = self._path / f"model_best_{saved.epoch:03d}.pth"
        if self._read_only:
            return path
        save(path, saved)
        for other in self._path.glob("model_best_*.pth"):
            if other != path:
                other.unlink()
        return path

    def link(self, path: Path) -> None:
        """Removed and made again, as TAO does: for a moment there is none."""
        if self._read_only:
            return
        self._latest.unlink(missing_ok=True)
        self._latest.symlink_to(path.name)
