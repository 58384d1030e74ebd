"""What one driver has of its study: the plan, the ledger, the cluster, the events, and a clock.

Besides those it only holds what can be read again: status files as far as they were read, and why it is to stop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from tao_automl import jobs, segments
from tao_automl.attempts import Watched
from tao_automl.events import EventLog
from tao_automl.execution.cluster import Cluster
from tao_automl.layout import AttemptPaths
from tao_automl.ledger import Ledger, attempt_of
from tao_automl.plan import Plan
from tao_automl.search import attributes
from tao_automl.search.study import FrozenTrial
from tao_automl.segments import Segment
from tao_automl.tao.facts import CheckpointNames

PRUNED, CANCELLED, SILENT, OVERDUE = "pruned", "cancelled", "silent", "overdue"  # intents


@dataclass
class Session:
    """`draining` says why no more trials are started, `aborted` why none of the next ones could run."""

    plan: Plan
    ledger: Ledger
    cluster: Cluster
    events: EventLog
    now: Callable[[], datetime]
    watched: dict[int, Watched] = field(default_factory=dict)
    draining: str = ""
    cancelling: bool = False
    aborted: str = ""

    @property
    def now_s(self) -> float:
        return self.now().timestamp()

    def drain(self, reason: str) -> None:
        """Start no more trials; the active ones finish."""
        self.draining = self.draining or reason

    def cancel(self, reason: str) -> None:
        """Start no more trials and stop the active ones; `resume` starts them again."""
        self.drain(reason)
        self.cancelling = True

    def abort(self, reason: str) -> None:
        """As `cancel`, because what remains would fail as the last trials did."""
        self.ledger.abort(reason)
        self.aborted = reason
        self.cancel(reason)

    def job_id(self, trial: FrozenTrial) -> str:
        return jobs.job_id(self.plan.name, trial.number, attempt_of(trial))

    def paths(self, trial: FrozenTrial) -> AttemptPaths:
        return self.plan.paths.attempt(trial.number, attempt_of(trial))

    def checkpoints(self, trial: FrozenTrial) -> tuple[Path, CheckpointNames]:
        """Where a trial's checkpoints lie, and how they are called."""
        names = self.plan.skill.facts.checkpoints
        return self.paths(trial).checkpoints(names.folder), names

    def segment(self, trial: FrozenTrial) -> Segment:
        """Which part of a training the trial is."""
        return segments.of(self.plan, trial, self.ledger.trials())

    def watch(self, number: int, *, history: bool = False) -> None:
        """Read the trial's files from their beginning. `history`: an earlier driver may have read them."""
        self.watched[number] = Watched(self.now_s, history=history)

    def next_attempt(self, trial: FrozenTrial, found: Mapping[str, Any] | None = None) -> None:
        """A fresh folder for it: TAO resumes from whatever it finds in one."""
        attempt = attempt_of(trial) + 1
        cleared = (attributes.INTENT, attributes.PARKED_S, attributes.NODE, attributes.GPUS)
        known = {key: None for key in cleared if trial.user_attrs.get(key) is not None}
        self.ledger.store(trial.number, {**known, **(found or {}), attributes.ATTEMPT: attempt})
        self.watch(trial.number)
