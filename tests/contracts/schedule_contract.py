"""What every schedule promises: as many configs as asked, and nothing that depends on anything but stored trials."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import pytest
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from tao_automl.search import attributes, study
from tao_automl.search.algorithms import Schedule
from tao_automl.search.proposal import Proposal, Start, budget_of, is_config
from tao_automl.search.rungs import Terms
from tao_automl.tao.metric import Direction, Metric
from tests.contracts.sampler_contract import contract_space

TERMS = Terms(configs=14, epochs=9, maximize=False, resumes=True, weights=True, interval=3)


class Run:
    """A study driven by a schedule, with trials that end in an order of their own."""

    def __init__(self, name: str, seed: int, parallel: int, terms: Terms = TERMS) -> None:
        self.schedule, self.space = Schedule(name, terms), contract_space("lr", "batch_size")
        known = {attributes.ALGORITHM: "random", attributes.PRUNER: "none", attributes.SEED: 1}
        metric = Metric("loss", Direction.MINIMIZE)
        self.study = study.create(InMemoryStorage(), "s", metric, self.space, attributes=known)
        self.rng, self.parallel, self.terms = random.Random(seed), parallel, terms
        self.most_at_once = 0

    @property
    def trials(self) -> list[FrozenTrial]:
        return study.trials(self.study)

    def step(self) -> bool:
        """Start what there is room for and end one trial; False when there is nothing left."""
        while len(study.running(self.study)) < self.parallel:
            proposal = self.schedule.propose(self.trials, self.space)
            assert proposal == self.schedule.propose(self.trials, self.space), "the same trials, the same proposal"
            if proposal is None:
                break
            study.ask(self.study, self.space, proposal)
        running = study.running(self.study)
        self.most_at_once = max(self.most_at_once, len(running))
        if not running:
            return False
        self.end(self.rng.choice(running))
        return True

    def end(self, trial: FrozenTrial) -> None:
        budget = budget_of(trial, self.terms.epochs)
        if self.rng.random() < 0.1 and trial.number > 0:
            study.tell(self.study, trial.number, TrialState.FAIL)
            return
        final = abs(math.log10(trial.params["lr"]) + 3)
        study.report(self.study, trial.number, {epoch: final + 1 / (epoch + 1) for epoch in range(budget)})
        study.set_trial_attributes(self.study, trial.number, {attributes.END: f"{trial.number}.pth"})
        if budget >= self.terms.epochs:
            study.tell(self.study, trial.number, TrialState.COMPLETE, final + 1 / budget)
        else:
            study.tell(self.study, trial.number, TrialState.PRUNED)

    def all(self) -> list[FrozenTrial]:
        while self.step():
            pass
        return self.trials


class ScheduleContract:
    """Inherit and give the fixture `name`."""

    @pytest.fixture(params=[(1, 1), (2, 4), (3, 9)])
    def done(self, name: str, request: pytest.FixtureRequest) -> Run:
        run = Run(name, *request.param)
        run.all()
        return run

    def test_it_starts_as_many_configs_as_asked_and_comes_to_an_end(self, done: Run) -> None:
        assert sum(is_config(trial) for trial in done.trials) == TERMS.configs
        assert all(trial.state.is_finished() for trial in done.trials)
        assert done.schedule.propose(done.trials, done.space) is None

    def test_it_starts_with_the_launched_values(self, done: Run) -> None:
        assert done.trials[0].params == done.space.centre()

    def test_a_trial_goes_on_from_one_that_has_ended_where_it_begins(self, done: Run) -> None:
        for trial in done.trials:
            proposed = Proposal.of(trial)
            if proposed.parent is None:
                assert proposed.start is Start.FRESH
                continue
            parent = done.trials[proposed.parent]
            assert parent.state in (TrialState.PRUNED, TrialState.COMPLETE)
            assert budget_of(parent, TERMS.epochs) < budget_of(trial, TERMS.epochs) <= TERMS.epochs
            assert proposed.start is not Start.RESUME or trial.params == parent.params

    def test_what_a_trial_goes_on_from_was_needed_as_long_as_it_had_not_begun(self, name: str) -> None:
        run = Run(name, 5, 3)
        needed: dict[int, frozenset[int]] = {}
        while run.step():
            needed[len(run.trials)] = run.schedule.needed(run.trials)
        parents = {trial.number: trial.user_attrs.get(attributes.PARENT) for trial in run.trials}
        for number, parent in parents.items():
            assert parent is None or number not in needed or parent in needed[number]

    def test_nothing_is_needed_at_the_end_that_could_not_have_been_promoted(self, done: Run) -> None:
        left = done.schedule.needed(done.trials)
        assert len(left) <= TERMS.configs // TERMS.reduction + 1

    def test_a_driver_that_died_between_proposal_and_trial_is_followed_by_one_that_starts_it(self, name: str) -> None:
        run = Run(name, 1, 2)
        while (proposal := run.schedule.propose(run.trials, run.space)) is not None and proposal.parent is None:
            assert run.step()
        if proposal is None:
            assert name == "none" or run.step()
            return
        run.study.enqueue_trial(dict(proposal.params or {}), user_attrs=proposal.attributes())  # and then it died
        waiting = run.trials[-1]
        assert Proposal.of(waiting) == proposal
        number, _ = study.ask(run.study, run.space, Proposal())
        assert number == waiting.number

    def test_points_that_wait_are_configs_too(self, name: str) -> None:
        run = Run(name, 1, 2)
        wanted = {**run.space.centre(), "lr": 2e-3}
        run.study.enqueue_trial(wanted)
        trials: Sequence[FrozenTrial] = run.all()
        assert trials[1].params == wanted
        assert sum(is_config(trial) for trial in trials) == TERMS.configs
