"""The hyperparameters of a training, read from a spec by TAO's key paths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_MISSING = object()


def _get(spec: Mapping[str, Any], path: str, default: Any) -> Any:
    """The value at a dotted path; an absent or null one is `default`."""
    value: Any = spec
    for part in path.split("."):
        value = value.get(part, _MISSING) if isinstance(value, Mapping) else _MISSING
        if value is _MISSING or value is None:
            return default
    return value


@dataclass(frozen=True)
class Recipe:
    """What a training is done with. The defaults are those of TAO's DINO template."""

    optimizer: str = "AdamW"
    lr: float = 2e-4
    lr_backbone: float = 2e-5
    weight_decay: float = 1e-4
    momentum: float = 0.9
    lr_scheduler: str = "MultiStep"
    lr_steps: tuple[int, ...] = (11,)
    lr_step_size: int = 11
    lr_decay: float = 0.1
    layer_decay_rate: float = 0.65
    clip_grad_norm: float = 0.1
    batch_size: int = 4
    flip_prob: float = 0.5
    backbone: str = "resnet_50"
    num_queries: int = 300
    num_select: int = 300
    hidden_dim: int = 256
    enc_layers: int = 6
    dec_layers: int = 6
    dropout_ratio: float = 0.0
    focal_alpha: float = 0.25
    cls_loss_coef: float = 2.0
    bbox_loss_coef: float = 5.0
    giou_loss_coef: float = 2.0

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> Recipe:
        """Read a spec; a key that is absent or null has the template's default.

        Raises:
            ValueError, TypeError: a value cannot be read as its type.
        """
        values: dict[str, Any] = {}
        for name, path in PATHS.items():
            value, default = _get(spec, path, _MISSING), getattr(cls, name)
            if value is _MISSING:
                continue
            if isinstance(default, tuple):
                values[name] = tuple(int(step) for step in value)
            else:
                values[name] = type(default)(value)
        return cls(**values)

    @classmethod
    def again(cls, values: Mapping[str, Any]) -> Recipe:
        """Back from `dataclasses.asdict`, by way of JSON.

        Raises:
            TypeError: a name is not known.
        """
        known: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
        }
        return cls(**known)

    def decay(self, epoch: int) -> float:
        """What the learning rates are multiplied with in an epoch, counted from 0."""
        if self.lr_scheduler == "StepLR":
            drops = epoch // max(1, self.lr_step_size)
        else:
            drops = sum(step <= epoch for step in self.lr_steps)
        return self.lr_decay**drops


PATHS = {
    "optimizer": "train.optim.optimizer",
    "lr": "train.optim.lr",
    "lr_backbone": "train.optim.lr_backbone",
    "weight_decay": "train.optim.weight_decay",
    "momentum": "train.optim.momentum",
    "lr_scheduler": "train.optim.lr_scheduler",
    "lr_steps": "train.optim.lr_steps",
    "lr_step_size": "train.optim.lr_step_size",
    "lr_decay": "train.optim.lr_decay",
    "layer_decay_rate": "train.optim.layer_decay_rate",
    "clip_grad_norm": "train.clip_grad_norm",
    "batch_size": "dataset.batch_size",
    "flip_prob": "dataset.augmentation.horizontal_flip_prob",
    "backbone": "model.backbone",
    "num_queries": "model.num_queries",
    "num_select": "model.num_select",
    "hidden_dim": "model.hidden_dim",
    "enc_layers": "model.enc_layers",
    "dec_layers": "model.dec_layers",
    "dropout_ratio": "model.dropout_ratio",
    "focal_alpha": "model.focal_alpha",
    "cls_loss_coef": "model.cls_loss_coef",
    "bbox_loss_coef": "model.bbox_loss_coef",
    "giou_loss_coef": "model.giou_loss_coef",
}
