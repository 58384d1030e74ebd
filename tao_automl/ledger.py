"""The study as its driver sees it: what storage says, read again only after something was written.

A read costs as much as the rest of a tick, and nobody but the driver writes trials.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tao_automl.search import attributes, stopping
from tao_automl.search import study as studies
from tao_automl.search.algorithms import Schedule
from tao_automl.search.proposal import Proposal, is_proposed
from tao_automl.search.space import SearchSpace
from tao_automl.search.study import FrozenTrial, Study, TrialState


class Ledger:
    """Trials of one study, for its one driver."""

    def __init__(self, study: Study, space: SearchSpace, schedule: Schedule) -> None:
        self._study = study
        self._space = space
        self._schedule = schedule
        self._next: tuple[Proposal | None] | None = None  # what would be proposed, if that was asked since
        self._known: list[FrozenTrial] | None = None  # what was read last; None once something was written
        self._running: list[FrozenTrial] = []  # of them
        self._past = stopping.Past()  # of those that are finished: they do not change, so it holds for their number

    def trials(self) -> list[FrozenTrial]:
        if self._known is None:
            self._known, self._next = studies.trials(self._study), None
            self._running = [trial for trial in self._known if trial.state == TrialState.RUNNING]
            if sum(trial.state.is_finished() for trial in self._known) != self._past.finished:
                self._past = stopping.past(self._known)
        return self._known

    def running(self) -> list[FrozenTrial]:
        self.trials()
        return self._running

    def active(self) -> list[FrozenTrial]:
        """Running trials; one that was cancelled and has stopped waits for `resume`."""
        return [trial for trial in self.running() if not is_parked(trial)]

    def spent(self, now: datetime) -> stopping.Spent:
        return stopping.spent(self.running(), now, self._past)

    def proposal(self) -> Proposal | None:
        """What the next trial is to be; None while others must end first, or if there is none.

        One that a driver stored before it died comes first.
        """
        trials = self.trials()
        if self._next is None:
            waiting = [trial for trial in trials if trial.state == TrialState.WAITING and is_proposed(trial)]
            found = Proposal.of(waiting[0]) if waiting else self._schedule.propose(trials, self._space)
            self._next = (found,)
        return self._next[0]

    def needed(self) -> frozenset[int] | None:
        """Trials whose last checkpoint must stay, because another goes on from it or may; None: none ever does."""
        if not self._schedule.continues:
            return None
        trials = self.trials()
        begun = {trial.user_attrs.get(attributes.PARENT) for trial in trials if not trial.state.is_finished()}
        return self._schedule.needed(trials) | {int(number) for number in begun if number is not None}

    def ask(self) -> tuple[int, dict[str, Any]]:
        """A new trial: its number and its config."""
        proposal = self.proposal()
        assert proposal is not None, "nothing is asked for that is not proposed"
        number, values = studies.ask(self._study, self._space, proposal)
        self._known = None
        return number, values

    def trial(self, number: int) -> FrozenTrial:
        return self.trials()[number]

    def config(self, number: int) -> dict[str, Any]:
        """The config of a running trial, also when its driver died while it was asked."""
        return studies.resume_ask(self._study, number, self._space)

    def store(self, number: int, found: Mapping[str, Any]) -> None:
        studies.set_trial_attributes(self._study, number, found)
        self._known = None

    def report(self, trial: FrozenTrial, values: Mapping[int, float]) -> dict[int, float]:
        """Store epochs; returns those that are new."""
        new = {epoch: value for epoch, value in values.items() if epoch not in trial.intermediate_values}
        if new:
            studies.report(self._study, trial.number, new)
            self._known = None
        return new

    def should_prune(self, number: int) -> bool:
        return studies.should_prune(self._study, number)

    def tell(self, number: int, outcome: TrialState, value: float | None) -> None:
        studies.tell(self._study, number, outcome, value)
        self._known = None

    def tell_infeasible(self, number: int) -> None:
        """The config cannot run: the sampler learns that, and it is worth nothing."""
        studies.tell_infeasible(self._study, number)
        self._known = None

    def wish(self) -> str | None:
        """What `tao-automl stop` has left for the driver."""
        found: str | None = self._study.user_attrs.get(attributes.STOP)
        return found

    def abort(self, reason: str) -> None:
        studies.set_study_attributes(self._study, {attributes.ABORTED: reason})

    def quarantine(self) -> list[str]:
        """GPUs that are used no more in this study, as `host/gpu`."""
        return list(self._study.user_attrs.get(attributes.QUARANTINE) or ())

    def avoid(self, known: Mapping[str, Any]) -> tuple[str, ...]:
        """What a job is not to get: the quarantine, and what a trial's attributes name."""
        return tuple(dict.fromkeys([*self.quarantine(), *(known.get(attributes.AVOID) or ())]))

    def add_to_quarantine(self, names: tuple[str, ...]) -> None:
        bad = list(dict.fromkeys([*self.quarantine(), *names]))
        studies.set_study_attributes(self._study, {attributes.QUARANTINE: bad})


def is_parked(trial: FrozenTrial) -> bool:
    return bool(trial.user_attrs.get(attributes.PARKED_S))


def attempt_of(trial: FrozenTrial) -> int:
    """The current attempt of a trial; counts from 1."""
    return int(trial.user_attrs.get(attributes.ATTEMPT, 1))
