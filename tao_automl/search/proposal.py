"""What a trial is to be, decided before it exists and stored with it before anything is started.

A schedule reads the stored trials and returns a `Proposal`; it is written into the trial in the same write that makes
the trial. So a driver that dies at any moment is followed by one that does the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from tao_automl.search.attributes import BUDGET, KIND, PARENT, START, TRIAL_SEED

CONFIG = "config"  # a config of its own: what `--trials` counts
PROMOTED = "promoted"  # the same config for more epochs
EXPLORED = "explored"  # goes on from another trial's weights, perhaps with other values


class Start(str, Enum):
    """How a training begins. `WEIGHTS`: with the parent's weights and a fresh optimizer, so that a changed learning
    rate counts; a resumed optimizer keeps the old one.
    """

    FRESH = "fresh"
    RESUME = "resume"
    WEIGHTS = "weights"


@dataclass(frozen=True)
class Proposal:
    """The next trial.

    `params` maps Optuna's names to codes; None leaves them to the sampler. `parent` is the number of the trial that it
    goes on from. `epochs` is where its training ends, counted from the start of its first ancestor; None = the
    study's. `seed` is that of its training; None = the template's. `kind` is one of the words of this module, or of
    whoever else proposes trials.
    """

    params: Mapping[str, Any] | None = None
    parent: int | None = None
    start: Start = Start.FRESH
    epochs: int | None = None
    seed: int | None = None
    kind: str = CONFIG

    @property
    def is_plain(self) -> bool:
        """True if it says nothing that a trial without attributes does not say."""
        return self == Proposal()

    def attributes(self) -> dict[str, Any]:
        """What a trial stores of it; a plain one stores nothing."""
        if self.is_plain:
            return {}
        found = {
            KIND: self.kind,
            PARENT: self.parent,
            START: None if self.start is Start.FRESH else self.start.value,
            BUDGET: self.epochs,
            TRIAL_SEED: self.seed,
        }
        return {name: value for name, value in found.items() if value is not None}

    @classmethod
    def of(cls, trial: FrozenTrial) -> Proposal:
        """What a trial was proposed as. `params` are those it has, None while it has none."""
        known = trial.user_attrs
        return cls(
            params=trial.params or trial.system_attrs.get("fixed_params"),
            parent=known.get(PARENT),
            start=Start(known.get(START) or Start.FRESH.value),
            epochs=known.get(BUDGET),
            seed=known.get(TRIAL_SEED),
            kind=known.get(KIND) or CONFIG,
        )


PLAIN = Proposal()  # a config that the sampler chooses, trained as the study says


def is_proposed(trial: FrozenTrial) -> bool:
    """True unless it only waits to be proposed, as points do that a user has enqueued."""
    return trial.state != TrialState.WAITING or KIND in trial.user_attrs


def is_config(trial: FrozenTrial) -> bool:
    """True for a config of its own, which `--trials` counts."""
    return (trial.user_attrs.get(KIND) or CONFIG) == CONFIG


def budget_of(trial: FrozenTrial, epochs: int) -> int:
    """The epochs after which a trial ends, in a study of `epochs`."""
    return int(trial.user_attrs.get(BUDGET) or epochs)
