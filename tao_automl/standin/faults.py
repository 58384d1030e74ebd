"""Failures on request, for tests: STANDIN_FAULT=kind@epoch, several with commas; without @epoch, epoch 1.

`3:kind@epoch` is for trial 3 only, `3.1:kind@epoch` for its first attempt: numbers as in the results folder's path.
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tao_automl.standin.statuslog import StatusLog

OUT_OF_MEMORY = (
    "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.10 GiB of which 1.05 GiB is free."
)
HALF_LINE_S = 0.5
HUGE_LINE = 100_000  # characters
_OF_TRIAL = re.compile(r"/trials/(\d+)/attempt-(\d+)(?:/|$)")
AT_START = {"fnf", "disk", "hf_offline", "slow_start"}
RAISED: dict[str, BaseException] = {
    "oom": RuntimeError(OUT_OF_MEMORY),
    "oom_no_marshmallow": RuntimeError(OUT_OF_MEMORY),
    "device_assert": RuntimeError("CUDA error: device-side assert triggered"),
    "value": ValueError("some bad value"),
    "fnf": FileNotFoundError("[Errno 2] No such file or directory: '/data/val/annotations.json'"),
    "disk": OSError("[Errno 28] No space left on device"),
    "nan_assert": AssertionError("boxes1[:, 2:] >= boxes1[:, :2]"),
    "shm_bus": RuntimeError(
        "DataLoader worker is killed by signal: Bus error. It is possible that dataloader's workers are out of shared"
        " memory. Please try to raise your shared memory limit."
    ),
    "keyerror": KeyError("foo"),
    "hf_offline": OSError("We couldn't connect to 'https://huggingface.co' to load the files"),
    "xid": RuntimeError("CUDA error: unspecified launch failure"),
    "exit0": SystemExit(0),
}
PRINTED = {"xid": "NVRM: Xid (PCI:0000:3b:00): 79, pid=1, GPU has fallen off the bus."}  # before it is raised
SIGNALS = {
    "sigkill_child": signal.SIGKILL,
    "oom_silent": signal.SIGKILL,  # what the kernel does when the machine's memory is full
    "sigterm_child": signal.SIGTERM,
    "sigint_child": signal.SIGINT,
}
HANGS = {"hang", "nccl_hang"}
OTHERS = {*HANGS, "nan", "no_metric", "spurious_failure_line", "half_line", "huge_line", "slow_start"}
KINDS = tuple(sorted({*RAISED, *SIGNALS, *OTHERS}))


@dataclass(frozen=True)
class Faults:
    """What goes wrong, and in which epoch."""

    epoch_of: dict[str, int]

    @classmethod
    def wanted(cls, folder: Path) -> Faults:
        """Those for the training whose results folder this is.

        Raises:
            SystemExit: a kind is not known.
        """
        found = {}
        for item in filter(None, os.environ.get("STANDIN_FAULT", "").split(",")):
            *whom, what = item.strip().split(":")
            kind, _, epoch = what.partition("@")
            if kind not in KINDS:
                raise SystemExit(f"STANDIN_FAULT: no fault '{kind}'; there are {', '.join(KINDS)}")
            if not whom or _is_for(whom[0], folder):
                found[kind] = int(epoch) if epoch else 1
        return cls(found)

    def has(self, kind: str, epoch: int | None = None) -> bool:
        """Whether a lasting fault holds, from its epoch on."""
        return kind in self.epoch_of and (epoch is None or epoch >= self.epoch_of[kind])

    def start(self) -> None:
        """The faults that come before the first epoch."""
        if self.has("slow_start"):
            time.sleep(5.0)
        for kind in self.epoch_of.keys() & AT_START & RAISED.keys():
            raise RAISED[kind]

    def epoch(self, epoch: int, log: StatusLog) -> None:
        """The faults at the start of an epoch: odd lines, after which training goes on."""
        due = self._due(epoch)
        if "half_line" in due:
            log.half_line_s = HALF_LINE_S
        if "huge_line" in due:
            log.log("skip layer: " + "x" * HUGE_LINE)
        if "spurious_failure_line" in due:
            log.log("output layer_id 3 is nan", level="ERROR")

    def mid_epoch(self, epoch: int) -> None:
        """The faults in the middle of an epoch. A signal hits the training process, not the launcher."""
        due = self._due(epoch)
        while due & HANGS:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(60)
        for kind in sorted(due & SIGNALS.keys()):
            os.kill(os.getpid(), SIGNALS[kind])
        for kind in sorted(due & RAISED.keys()):
            if kind in PRINTED:
                print(f"\n{PRINTED[kind]}", flush=True)
            raise RAISED[kind]

    def _due(self, epoch: int) -> set[str]:
        return {kind for kind, at in self.epoch_of.items() if at == epoch and kind not in AT_START}


def out_of_memory(batch_size: int, queries: int, env: Mapping[str, str]) -> bool:
    """By the rules STANDIN_OOM_ABOVE, the largest batch size, and STANDIN_OOM_LIMIT, of batch size times queries."""
    return batch_size > int(env.get("STANDIN_OOM_ABOVE", batch_size)) or (
        batch_size * queries > int(env.get("STANDIN_OOM_LIMIT", batch_size * queries))
    )


def _is_for(whom: str, folder: Path) -> bool:
    """Whether "3" or "3.1" is the trial, or its attempt, that has its results there."""
    found = _OF_TRIAL.search(folder.as_posix())
    if found is None:
        return False
    trial, attempt = (int(number) for number in found.groups())
    return whom in (str(trial), f"{trial}.{attempt}")
