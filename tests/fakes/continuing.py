"""A tiny model whose training can be resumed or started from weights, and machines that do so."""

from __future__ import annotations

import json
import math
import re
import shutil
from pathlib import Path
from typing import Any

import yaml

from tao_automl.execution.job import JobSpec
from tao_automl.plan import Plan
from tao_automl.tao import spec as spec_file
from tests.fakes.cluster import Script
from tests.fakes.tiny import SKILL, Bench, plan

RESUME, WEIGHTS = "train.resume_training_checkpoint_path", "train.pretrained_model_path"
LEAVES = {
    "resume_training_checkpoint_path": {"type": "string", "default": ""},
    "pretrained_model_path": {"type": "string", "default": ""},
}
RATES = {
    "lr_scheduler": {"type": "categorical", "default": "MultiStep", "enum": ["MultiStep", "cosine"]},
    "lr_steps": {"type": "list", "default": [8]},
    "warmup_epochs": {"type": "int", "default": 2, "minimum": 0, "maximum": 100},
}


def skill(folder: Path) -> Path:
    """The tiny skill with the keys that take a checkpoint, and a schedule of learning rates."""
    made = folder / SKILL.name
    if made.exists():
        return made
    shutil.copytree(SKILL, made)
    schema_file, template_file = made / "schemas/train.schema.json", made / "references/spec_template_train.yaml"
    info_file = made / "references/skill_info.yaml"
    schema, template = json.loads(schema_file.read_text()), yaml.safe_load(template_file.read_text())
    train = schema["properties"]["train"]["properties"]
    train.update(LEAVES)
    train["optim"]["properties"].update(RATES)
    template["train"].update({name: leaf["default"] for name, leaf in LEAVES.items()})
    template["train"]["optim"].update({name: leaf["default"] for name, leaf in RATES.items()})
    info = yaml.safe_load(info_file.read_text())
    info["actions"]["train"]["spec_params"].update({RESUME: "resume_model", WEIGHTS: "ptm_if_no_resume_model"})
    schema_file.write_text(json.dumps(schema))
    template_file.write_text(yaml.safe_dump(template))
    info_file.write_text(yaml.safe_dump(info))
    return made


def continuing(tmp_path: Path, **flags: Any) -> Plan:
    asked = {"skill_dir": str(skill(tmp_path / "skills")), "parallel": 2, "epochs": 9, **flags}
    return plan(tmp_path, **asked)


class Trainer:
    """What the jobs do: a training rises towards a value that only its learning rate decides.

    Weights carry on what was learned: from them the curve goes on where it ended.
    """

    def __init__(self, saves: bool = True) -> None:
        self.learned: dict[str, float] = {}  # epochs of experience in the weights of a folder
        self.saves = saves

    def __call__(self, job: JobSpec) -> Script:
        train = spec_file.load((job.folder / "spec.yaml").read_text())["train"]
        resumed, weights = train["resume_training_checkpoint_path"], train["pretrained_model_path"]
        if resumed or weights:
            assert Path(resumed or weights).exists(), "it starts from a file that is there"
        first = int(re.findall(r"epoch_(\d+)", resumed)[0]) + 1 if resumed else 0
        source = resumed or weights
        learned = self.learned[str(Path(source).parents[1])] - first if source else 0.0
        epochs = range(first, train["num_epochs"])
        self.learned[str(job.folder)] = learned + train["num_epochs"]
        values = [worth(train["optim"]["lr"], learned + epoch) for epoch in epochs]
        return Script(values, first=first, saves=self.saves)


def worth(rate: float, epoch: float) -> float:
    """Best at 1e-3, and larger the longer it trains."""
    final = 1 - abs(math.log10(rate) + 3) / 4
    return round(final * (1 - math.exp(-(epoch + 1) / 5)), 6)


def bench(made: Plan, saves: bool = True) -> Bench:
    found = Bench(made, lambda _trial, _attempt: Script([]), algorithm=made.settings["algorithm"])
    found.machines.script_of = Trainer(saves)
    return found
