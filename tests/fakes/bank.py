"""Skill folders in the shape of TAO's own bank: none of them has an `automl.yaml`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w
import yaml

from tao_automl.plan import Plan
from tao_automl.tao import keypath
from tests.fakes.tiny import plan

Leaves = Mapping[str, Mapping[str, Any]]

# What every model of TAO has, and the least that can be trained.
TRAINER: Leaves = {
    "results_dir": {"type": "string", "default": "/results"},
    "encryption_key": {"type": "string", "default": "key"},
    "wandb.enable": {"type": "bool", "default": True, "automl_enabled": False},
    "train.num_epochs": {"type": "int", "default": 10, "minimum": 1, "maximum": float("inf")},
    "train.num_gpus": {"type": "int", "default": 1, "minimum": 1},
    "train.gpu_ids": {"type": "list", "default": [0], "automl_enabled": False},
    "train.num_nodes": {"type": "int", "default": 1, "minimum": 1},
    "train.seed": {"type": "int", "default": 1234},
    "train.validation_interval": {"type": "int", "default": 1, "minimum": 1},
    "train.checkpoint_interval": {"type": "int", "default": 1, "minimum": 1},
    "train.optim.lr": {
        "type": "float",
        "default": 1e-4,
        "minimum": 0.0,
        "maximum": float("inf"),
        "automl_enabled": True,
    },
    "dataset.root_dir": {"type": "string", "default": ""},
    "dataset.batch_size": {"type": "int", "default": 8, "minimum": 1, "maximum": float("inf")},
}
TEXT = "# A model\n\n## Training Requirements\n\n- **AutoML training metric:** `val_miou` (maximize).\n"


def document(
    leaves: Leaves, action: str = "train", model: str = "net", listed: list[str] | None = None
) -> dict[str, Any]:
    """A schema as TAO's generator writes it, the list that strays among the properties included."""
    properties: dict[str, Any] = {"automl_disabled_parameters": ["train.gpu_ids"]}
    default: dict[str, Any] = {}
    for path, leaf in leaves.items():
        *above, last = path.split(".")
        below = properties
        for name in above:
            group = below.setdefault(name, {"type": "collection", "automl_enabled": False})
            below = group.setdefault("properties", {})
        below[last] = dict(leaf)
        if "default" in leaf and "[" not in path:
            default = keypath.assign(default, path, leaf["default"])
    enabled = [path for path, leaf in leaves.items() if leaf.get("automl_enabled") is True]
    return {
        "type": "object",
        "properties": properties,
        "default": default,
        "automl_default_parameters": enabled if listed is None else listed,
        "automl_disabled_parameters": ["train.gpu_ids", "export"],
        "x_tao_schema": {"action": action, "model": model, "network_arch": model, "schema_version": 1},
    }


def info(name: str, **changes: Any) -> dict[str, Any]:
    """A skill_info.yaml with the keys that those of the bank have."""
    arch = name.split("-", 2)[-1].replace("-", "_")
    keys = {"encryption_key": "key", "results_dir": "output_dir"}
    action = {"config_format": "yaml", "mode": "config", "outputs": {"results_dir": {"type": "folder"}}}
    known: dict[str, Any] = {
        "name": name,
        "network_arch": arch,
        "automl_enabled": True,
        "container_image": "registry.example/tao:1",
        "data_format": "unet",
        "gpu_spec_key": "train.num_gpus",
        "actions": {
            "train": {
                **action,
                "command": f"{arch} train -e {{config_path}}",
                "inputs": {"dataset.root_dir": {"type": "folder"}},
                "upload_excludes": ["inputs/"],
            },
            "export": {**action, "command": f"{arch} export -e {{config_path}}"},
        },
        "data_sources": {"train": {"dataset.root_dir": {"source": "train_datasets", "path": ""}}},
        "spec_params": {"train": keys, "export": {**keys, "export.checkpoint": "parent_model"}},
        "spec_shorthand_keys": {"num_epochs": "train.num_epochs", "batch_size": "dataset.batch_size"},
        "spec_templates": {"train": "../references/spec_template_train.yaml"},
        "key_defaults": {},
        "description": "Segments what it sees. It is small.",
    }
    return {**known, **changes}


def write(
    root: Path,
    name: str,
    leaves: Leaves = TRAINER,
    *,
    template: Mapping[str, Any] | None = None,
    suffix: str = ".yaml",
    text: str | None = TEXT,
    listed: list[str] | None = None,
    **changes: Any,
) -> Path:
    """A skill folder; `changes` are root keys of its skill_info.yaml."""
    folder = root / name
    for part in ("references", "schemas"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    known = info(name, **changes)
    (folder / "references" / "skill_info.yaml").write_text(yaml.safe_dump(known, sort_keys=False))
    schema = document(leaves, model=known["network_arch"], listed=listed)
    (folder / "schemas" / "train.schema.json").write_text(json.dumps(schema))
    spec = schema["default"] if template is None else template
    written = (
        tomli_w.dumps(spec) if suffix == ".toml" else json.dumps(spec) if suffix == ".json" else yaml.safe_dump(spec)
    )
    (folder / "references" / f"spec_template_train{suffix}").write_text(written)
    if text is not None:
        (folder / "SKILL.md").write_text(text)
    return folder


def planned(
    tmp_path: Path, leaves: Mapping[str, Any] | None = None, flags: Mapping[str, Any] | None = None, **changes: Any
) -> Plan:
    """The plan of a model of a bank, whose data is the test's folder."""
    write(tmp_path / "bank", "tao-train-net", {**TRAINER, **(leaves or {})}, **changes)
    asked = {"skill_dir": str(tmp_path / "bank"), "train_data": None, "val_data": None, **(flags or {})}
    return plan(tmp_path, **{"set": f"dataset.root_dir={tmp_path}", **asked})
