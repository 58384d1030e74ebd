"""A model of a bank of which nobody has written an automl.yaml, from its own files to the best checkpoint."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import Cli
from tests.fakes import bank

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.ray


def test_a_study_of_a_model_that_reads_toml_goes_from_the_bank_to_the_best_checkpoint(cli: Cli, tmp_path: Path) -> None:
    info = bank.info("tao-finetune-net")
    info["actions"]["train"] |= {
        "command": f"{sys.executable} -m tests.fakes.trainer {{config_path}}",
        "config_format": "toml",
    }
    bank.write(tmp_path / "bank" / "models", "tao-finetune-net", actions=info["actions"])
    words = ("--set", f"dataset.root_dir={tmp_path}", "--runtime", "process", "--epochs", "2", "--name", "net")
    python_path = {"PYTHONPATH": str(ROOT), "TAO_AUTOML_SKILLS": str(tmp_path / "bank")}
    cli("run", "--model", "net", "--trials", "2", *words, **python_path)
    best = cli.json("best", "net")
    assert (best["metric"], best["epoch"]) == ("val_miou", 1)
    checkpoint = Path(best["checkpoint"])
    assert checkpoint.name == "model_epoch_001_step_00020.pth"
    assert float(checkpoint.read_text()) == pytest.approx(best["value"])
    assert len(list((cli.studies / "net" / "trials").glob("*/attempt-1/spec.toml"))) == 2
