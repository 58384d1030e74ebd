"""What trials tell."""

from __future__ import annotations

import math
from typing import Any

from optuna.distributions import FloatDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from tao_automl.search import attributes
from tao_automl.search.space import SearchSpace
from tao_automl.search.surrogate import history
from tao_automl.search.surrogate.ask import cube_of
from tao_automl.search.surrogate.axes import Axis, Cube
from tao_automl.search.surrogate.outcome import scores
from tests.contracts.sampler_contract import contract_space

X = FloatDistribution(0, 1)
CUBE = Cube((Axis("x", X, 0.5),))
NOWHERE = SearchSpace(())


def trial(number: int, x: float, **known: Any) -> FrozenTrial:
    found = create_trial(params={"x": x}, distributions={"x": X}, **known)
    found.number = number
    return found


def curve(number: int, x: float, values: list[float], state: TrialState = TrialState.COMPLETE) -> FrozenTrial:
    return trial(number, x, state=state, value=values[-1], intermediate_values=dict(enumerate(values)))


def test_larger_is_better_whatever_the_direction() -> None:
    trials = [trial(0, 0.1, value=3.0), trial(1, 0.2, value=5.0)]
    assert history.read(CUBE, NOWHERE, trials, True, 2).values.tolist() == [3, 5]
    assert history.read(CUBE, NOWHERE, trials, False, 2).values.tolist() == [-3, -5]


def test_a_pruned_trial_counts_with_where_it_would_have_ended() -> None:
    finished = [curve(n, n / 10, [0.1 * n, 0.2 * n, 0.3 * n]) for n in range(5)]
    bad = curve(5, 0.9, [0.05], TrialState.PRUNED)
    lucky = curve(6, 0.95, [0.9], TrialState.PRUNED)
    values = history.read(CUBE, NOWHERE, [*finished, bad, lucky], True, 7).values
    assert 0 <= values[5] < 0.5
    assert values[5] < values[6] <= 1.2  # the best that finished
    mirrored = [curve(t.number, 0.1, [-v for v in t.intermediate_values.values()], t.state) for t in [*finished, bad]]
    assert history.read(CUBE, NOWHERE, mirrored, False, 7).values[5] == values[5]


def test_a_pruned_trial_counts_the_less_the_less_is_known_of_its_end() -> None:
    early, late = (0.5, 2.0, 1.0, 3.0, 2.5), (0.5, 1.0, 2.0, 3.0, 4.0)
    finished = [curve(n, n / 10, [early[n], late[n], 1.1 * late[n]]) for n in range(5)]
    stopped = [curve(5, 0.9, [0.6], TrialState.PRUNED), curve(6, 0.95, [0.6, 1.5], TrialState.PRUNED)]
    found = history.read(CUBE, NOWHERE, [*finished, *stopped], True, 7)
    assert found.doubts[:5].tolist() == [0] * 5
    assert found.doubts[5] > 2 * found.doubts[6] > 0
    noise = found.noise(scores(found.values))
    assert noise[:5].tolist() == [1] * 5
    assert noise[5] > noise[6] > 1


def test_a_diverged_config_is_the_worst_and_other_failures_are_nothing() -> None:
    diverged = trial(0, 0.1, state=TrialState.FAIL, user_attrs={attributes.REASON: "diverged"})
    broken = trial(1, 0.2, state=TrialState.FAIL, user_attrs={attributes.REASON: "network"})
    found = history.read(CUBE, NOWHERE, [diverged, broken], True, 2)
    assert found.values.tolist() == [-math.inf]
    assert found.taken.tolist() == [[0.1]]


def test_a_config_that_cannot_run_has_no_value() -> None:
    marked = trial(0, 0.1, state=TrialState.PRUNED, value=0.4, user_attrs={attributes.INFEASIBLE: True})
    by_optuna = trial(1, 0.2, state=TrialState.PRUNED, system_attrs={"constraints:feasible": 1.0})
    found = history.read(CUBE, NOWHERE, [marked, by_optuna], True, 2)
    assert found.failed.tolist() == [[0.1], [0.2]]
    assert len(found.values) == 0


def test_what_was_changed_to_run_is_what_ran_and_the_proposal_failed() -> None:
    space = contract_space("batch_size")
    cube = cube_of(space)
    (parameter,) = space.parameters
    known = {parameter.name: parameter.domain().distribution()}
    halved = create_trial(
        params={parameter.name: 4}, distributions=known, value=1.0, user_attrs={attributes.CHANGED: {"batch_size": 8}}
    )
    found = history.read(cube, space, [halved], True, 1)
    assert found.points.tolist() == cube.points([{parameter.name: 3}]).tolist()
    assert found.failed.tolist() == cube.points([{parameter.name: 4}]).tolist()


def test_running_trials_are_known_but_the_one_that_asks_is_not() -> None:
    running = [trial(n, n / 10, state=TrialState.RUNNING) for n in (1, 2)]
    assert history.read(CUBE, NOWHERE, running, True, 2).running.tolist() == [[0.1]]
