"""Containers on a Ray cluster of several nodes: a node that goes away, and a model's whole chain."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tao_automl import action, actionplan, driver
from tao_automl.actionplan import Asked
from tests.e2e.containers import EPOCHS, Lab, assert_sound, wait_for
from tests.engine import DEPLOY, IMAGE, Engine
from tests.execution.nodes import Nodes

pytestmark = [pytest.mark.docker, pytest.mark.ray, pytest.mark.slow]

TRIALS = 7
TRAINS, DEPLOYS = (
    ("evaluate", "inference", "export", "quantize"),
    ("gen_trt_engine", "deploy_evaluate"),
)
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


def test_from_training_to_an_engine_each_action_of_a_model_runs_in_its_container(
    lab: Lab, nodes: Nodes, docker_env: Engine
) -> None:
    large = ("--set", "model.num_queries=100", "--set", "model.num_select=100")  # the deploy image takes no fewer
    lab(*lab.words("chain", 1, "--address", nodes.address, "--env", "TELEMETRY_OPT_OUT=yes", *large, epochs=1))
    plan = driver.plan_of("chain", lab.studies, {})
    images = {**dict.fromkeys(TRAINS, IMAGE), **dict.fromkeys(DEPLOYS, DEPLOY)}
    done = {
        name: action.run(plan, actionplan.prepare(plan, Asked(name, image=image))) for name, image in images.items()
    }
    best = json.loads((lab.studies / "chain" / "best" / "metrics.json").read_text())
    assert best["value"] in done["evaluate"].metrics.values()
    exported = done["export"].run.outputs["export.onnx_file"]
    engine = done["gen_trt_engine"].run.outputs["gen_trt_engine.trt_engine"]
    assert done["gen_trt_engine"].prepared.parent.file == exported
    assert done["deploy_evaluate"].prepared.parent.file == engine
    assert done["deploy_evaluate"].metrics
    assert done["quantize"].run.model.is_file()
    assert any(done["inference"].run.paths.folder.rglob("*.png"))
    ran = [run.job for run in lab.diary.runs if run.job.startswith("chain-")]
    assert sorted(ran) == sorted(["chain-0000-1", *(f"chain-{name}-001" for name in images)])
    assert lab.containers() == []
