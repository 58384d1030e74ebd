"""Containers on a Ray cluster of several nodes, and what a user sees when one of them goes away."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.containers import EPOCHS, Lab, assert_sound, wait_for
from tests.execution.nodes import Nodes

pytestmark = [pytest.mark.docker, pytest.mark.ray, pytest.mark.slow]

TRIALS = 7
GPUS = {"gpu-1": "0,1", "gpu-2": "2", "gpu-3": "3"}


@pytest.fixture(scope="module")
def nodes(engine) -> Iterator[Nodes]:
    """Each node has other GPUs of the one engine."""
    made = Nodes(GPUS, engine.env())
    yield made
    made.close()


def on(lab: Lab) -> dict[int, str]:
    """Nodes by trial."""
    trials = lab.trials("nodes")
    return {trial.number: trial.user_attrs["node"] for trial in trials if trial.user_attrs.get("node")}


def test_a_study_outlives_the_death_of_a_node_and_its_containers_go_on(lab: Lab, nodes: Nodes) -> None:
    words = lab.words("nodes", TRIALS, "--address", nodes.address, epoch_s=2.0)
    driver = lab.start(*words)
    wait_for(lambda: len(on(lab)) == 4, "four trials run")
    assert sorted(on(lab).values()) == ["gpu-1", "gpu-1", "gpu-2", "gpu-3"]
    nodes.kill("gpu-2")
    lab.end(driver)
    trials = assert_sound(lab, "nodes", TRIALS)
    assert [trial.state.name for trial in trials] == ["COMPLETE"] * TRIALS
    assert all(sorted(trial.intermediate_values) == list(range(EPOCHS)) for trial in trials)
    (waiting,) = lab.said("nodes", "trial_waiting")
    assert waiting["detail"] == "node gpu-2 is gone"
    assert {trial.user_attrs["attempt"] for trial in trials} == {1}, "its container went on, and was found again"


def test_a_trial_on_two_nodes_is_one_container_on_each(lab: Lab, nodes: Nodes) -> None:
    words = lab.words("wide", 1, "--address", nodes.address, "--nodes", "2", "--parallel", "1", "--network", "host")
    words += ("--set", "dataset.batch_size=2")
    lab(*words)
    assert [trial.state.name for trial in lab.trials("wide")] == ["COMPLETE"]
    assert lab.containers("wide") == []
    ranks = {run.job: run.gpus for run in lab.diary.runs if run.job.startswith("wide-")}
    assert sorted(ranks) == ["wide-0000-1", "wide-0000-1-node1"]
    assert len({gpu for gpus in ranks.values() for gpu in gpus}) == 2
