"""Which part of a training a trial is, and what its job must know of the trial that it goes on from.

Epochs of a training count from the start of its first ancestor. A resumed job counts them so too; one that starts from
weights alone counts its own from 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tao_automl import fidelity
from tao_automl.plan import Plan
from tao_automl.search import attributes
from tao_automl.search.proposal import Proposal, Start
from tao_automl.search.study import FrozenTrial
from tao_automl.tao import lrschedule


@dataclass(frozen=True)
class Segment:
    """The epochs from `first` to before `end`.

    `offset` is what its job's own epoch 0 is in the training. `checkpoint` is the file that it starts from. `before`
    has what its ancestors were worth by epoch, and `best_before` the checkpoint of the best of those epochs.
    """

    end: int
    first: int = 0
    offset: int = 0
    start: Start = Start.FRESH
    checkpoint: Path | None = None
    seed: int | None = None
    before: Mapping[int, float] = field(default_factory=dict)
    best_before: str | None = None

    @property
    def epochs(self) -> int:
        """What its job takes for the number of epochs."""
        return self.end - self.offset

    def whole(self, own: Mapping[int, float]) -> dict[int, float]:
        """Points of its job as those of the training, with the ancestors' before them."""
        return {**self.before, **{epoch + self.offset: value for epoch, value in own.items()}}


def of(plan: Plan, trial: FrozenTrial, trials: list[FrozenTrial]) -> Segment:
    """The segment that a stored trial is. `trials` are those of the study, in the order of their numbers."""
    proposed = Proposal.of(trial)
    end = proposed.epochs or plan.epochs
    if proposed.parent is None or proposed.start is Start.FRESH:
        return Segment(end, seed=proposed.seed)
    parent = trials[proposed.parent]
    stored = parent.user_attrs.get(attributes.END)
    first = int(parent.user_attrs.get(attributes.BUDGET) or plan.epochs)
    return Segment(
        end=end,
        first=first,
        offset=first if proposed.start is Start.WEIGHTS else of(plan, parent, trials).offset,
        start=proposed.start,
        checkpoint=plan.paths.folder / stored if stored else None,
        seed=proposed.seed,
        before={epoch: value for epoch, value in parent.intermediate_values.items() if epoch < first},
        best_before=parent.user_attrs.get(attributes.CHECKPOINT),
    )


def overrides(plan: Plan, spec: Mapping[str, Any], segment: Segment) -> dict[str, Any]:
    """What the spec of a segment has instead of the study's, by key path. Pure.

    Args:
        spec: the trial's for a full training.
    """
    keys = plan.skill.facts.keys
    found: dict[str, Any] = {}
    if segment.seed is not None and keys.seed is not None:
        found[keys.seed] = segment.seed
    if segment.checkpoint is not None:
        wanted = fidelity.RESUME if segment.start is Start.RESUME else fidelity.WEIGHTS
        path = fidelity.key(plan.skill, plan.launch.spec, wanted)
        assert path is not None, "a schedule that goes on from a checkpoint is refused at plan time"
        found[path] = str(segment.checkpoint)
    if segment.epochs == plan.epochs:
        return found
    found[keys.epochs] = segment.epochs
    found |= lrschedule.intervals(keys, spec, segment.epochs)
    if segment.offset:
        found |= lrschedule.continued(spec, segment.offset)
    elif not lrschedule.is_open_ended(spec):
        found |= lrschedule.rescaled(spec, plan.epochs, segment.epochs)
    return found
