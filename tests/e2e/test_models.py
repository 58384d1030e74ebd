"""Each model's whole chain: its study file, the best checkpoint, and every action after it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tao_automl.cli import execute
from tests.e2e.conftest import QUICK, Cli
from tests.execution.nodes import Nodes

ROOT = Path(__file__).parents[2]
CHAIN = ("evaluate", "inference", "export", "quantize", "gen_trt_engine", "deploy_evaluate", "deploy_inference")
Act = Callable[[str, str], Any]
pytestmark = [pytest.mark.ray, pytest.mark.slow]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """One Ray for all, because every command would start its own; it tells the trainers to be quick."""
    nodes = Nodes({"one": "0,1"}, QUICK)
    yield nodes.address
    nodes.close()


@pytest.fixture
def act(cli: Cli, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Act:
    """An action's command in this process, which has imported everything already."""
    monkeypatch.chdir(cli.folder)

    def run(action: str, study: str) -> Any:
        code = execute(["action", action, study, "--json"])
        out, err = capsys.readouterr()
        assert code == 0, f"{action}: exit {code}\n{out}\n{err}"
        return json.loads(out)

    return run


@pytest.mark.parametrize("name", ["dino", "deformable-detr", "grounding-dino", "mask-grounding-dino"])
def test_a_study_file_leads_to_the_best_checkpoint_and_through_every_action(
    cli: Cli, act: Act, address: str, name: str
) -> None:
    here = ("--studies-dir", "studies", "--address", address)
    cli("run", "-f", str(ROOT / "studies" / f"{name}.yaml"), "--name", name, "--trials", "2", "--epochs", "2", *here)
    best = cli.json("best", name)
    done = {action: act(action, name) for action in CHAIN}
    assert done["evaluate"]["checkpoint"] == best["checkpoint"]
    assert best["value"] in [float(value) for value in done["evaluate"]["metrics"].values()]
    exported = Path(done["export"]["outputs"]["export.onnx_file"])
    engine = Path(done["gen_trt_engine"]["outputs"]["gen_trt_engine.trt_engine"])
    assert exported.stat().st_size > 1000
    assert done["gen_trt_engine"]["checkpoint"] == str(exported)
    assert {done[action]["checkpoint"] for action in ("deploy_evaluate", "deploy_inference")} == {str(engine)}
    assert done["deploy_evaluate"]["metrics"]
    assert Path(done["quantize"]["model"]).is_file()
    assert any(Path(done["inference"]["folder"]).rglob("*.png"))
