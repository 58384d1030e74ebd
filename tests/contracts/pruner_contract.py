"""What every pruner promises: patience at first, no mercy for what is plainly bad, and never the best."""

from __future__ import annotations

import math

import optuna
import pytest
from optuna.trial import TrialState

from tao_automl.search import algorithms

EPOCHS = 20


def curve(final: float, epoch: int) -> float:
    """A learning curve that rises to `final`."""
    return final * (1 - math.exp(-(epoch + 1) / 5))


class PrunerContract:
    """Inherit and give the fixtures `name` and `prunes` (False for a pruner that never stops anything)."""

    @pytest.fixture(params=["maximize", "minimize"])
    def direction(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    def pruned_at(self, name: str, direction: str, finals: list[float], epochs: int = EPOCHS) -> list[int | None]:
        """For each trial in a row the epoch after which it was stopped, None = it ran to its end."""
        sign = 1 if direction == "maximize" else -1
        study = optuna.create_study(direction=direction)
        pruner = algorithms.pruner(name, epochs, direction)
        return [
            self.run_curve(study, pruner, [sign * curve(final, epoch) for epoch in range(epochs)]) for final in finals
        ]

    def run_curve(self, study: optuna.Study, pruner: optuna.pruners.BasePruner, values: list[float]) -> int | None:
        trial = study.ask()
        for epoch, value in enumerate(values):
            trial.report(value, epoch)
            if pruner.prune(study, study.get_trials()[trial.number]):
                study.tell(trial, state=TrialState.PRUNED)
                return epoch
        study.tell(trial, values[-1])
        return None

    def test_a_plainly_bad_curve_is_stopped_early(self, name: str, prunes: bool, direction: str) -> None:
        epoch = self.pruned_at(name, direction, [0.8, 0.7, 0.75, 0.72, 0.01])[-1]
        assert (epoch is not None) == prunes
        assert epoch is None or epoch < EPOCHS / 2

    def test_nothing_is_stopped_before_the_warm_up(self, name: str, direction: str) -> None:
        for epochs, warm_up in ((3, 2), (20, 2), (100, 10)):
            stopped = self.pruned_at(name, direction, [0.8, 0.7, 0.75, 0.01, 0.02, 0.001], epochs)
            assert all(epoch is None or epoch >= warm_up for epoch in stopped)

    def test_the_best_is_never_stopped(self, name: str, direction: str) -> None:
        finals = [0.5, 0.4, 0.55, 0.6, 0.1, 0.7, 0.2, 0.8, 0.9]
        stopped = self.pruned_at(name, direction, finals)
        best_so_far = [all(final >= other for other in finals[:i]) for i, final in enumerate(finals)]
        assert [epoch for epoch, best in zip(stopped, best_so_far, strict=True) if best] == [None] * sum(best_so_far)

    def test_without_finished_trials_nothing_is_stopped(self, name: str, direction: str) -> None:
        study = optuna.create_study(direction=direction)
        pruner = algorithms.pruner(name, EPOCHS, direction)
        trials = [study.ask() for _ in range(6)]
        for epoch in range(EPOCHS):
            for trial in trials:
                trial.report(0.1 * trial.number, epoch)
                assert not pruner.prune(study, study.get_trials()[trial.number])

    def test_the_first_trial_is_never_stopped(self, name: str, direction: str) -> None:
        sign = 1 if direction == "maximize" else -1
        study = optuna.create_study(direction=direction)
        pruner = algorithms.pruner(name, EPOCHS, direction)
        first = study.ask()
        for _ in range(5):
            self.run_curve(study, pruner, [sign * curve(0.9, epoch) for epoch in range(EPOCHS)])
        for epoch in range(EPOCHS):
            first.report(sign * 0.001, epoch)
            assert not pruner.prune(study, study.get_trials()[0])

    def test_a_trial_without_points_is_not_stopped(self, name: str, direction: str) -> None:
        study = optuna.create_study(direction=direction)
        pruner = algorithms.pruner(name, EPOCHS, direction)
        for _ in range(5):
            self.run_curve(study, pruner, [0.5] * EPOCHS)
        silent = study.ask()
        assert not pruner.prune(study, study.get_trials()[silent.number])
