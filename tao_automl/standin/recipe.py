"""The hyperparameters that a spec holds, as far as the stand-in has something of the kind."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

WIDTHS = {"resnet_18": 8, "resnet_34": 10, "resnet_50": 12, "resnet_101": 14}  # channels of the first layer


@dataclass(frozen=True)
class Recipe:
    """Values as in the spec. `width` is in channels, `context` in layers, `candidates` in boxes an image."""

    optimizer: str
    lr: float
    lr_backbone: float
    weight_decay: float
    momentum: float
    scheduler: str
    milestones: tuple[int, ...]
    step_size: int
    decay: float
    clip_norm: float
    batch_size: int
    flip: float
    width: int
    context: int
    hidden: int
    candidates: int
    class_weight: float
    box_weight: float
    size_weight: float

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> Recipe:
        """Every key that is absent has the value of DINO's template."""

        def get(path: str, default: Any) -> Any:
            value: Any = spec
            for part in path.split("."):
                value = value.get(part) if isinstance(value, Mapping) else None
            return default if value is None else value

        backbone = str(get("model.backbone", "resnet_50"))
        queries = int(get("model.num_queries", 300))
        return cls(
            optimizer=str(get("train.optim.optimizer", "AdamW")),
            lr=float(get("train.optim.lr", 2e-4)),
            lr_backbone=float(get("train.optim.lr_backbone", 2e-5)),
            weight_decay=float(get("train.optim.weight_decay", 1e-4)),
            momentum=float(get("train.optim.momentum", 0.9)),
            scheduler=str(get("train.optim.lr_scheduler", "MultiStep")),
            milestones=tuple(int(epoch) for epoch in get("train.optim.lr_steps", [11])),
            step_size=max(1, int(get("train.optim.lr_step_size", 11))),
            decay=float(get("train.optim.lr_decay", 0.1)),
            clip_norm=float(get("train.clip_grad_norm", 0.1)),
            batch_size=int(get("dataset.batch_size", 4)),
            flip=float(get("dataset.augmentation.horizontal_flip_prob", 0.5)),
            width=WIDTHS.get(backbone, 8 + zlib.crc32(backbone.encode()) % 9),
            context=max(1, int(get("model.enc_layers", 6)) // 3),
            hidden=8 * max(1, int(get("model.dec_layers", 6))) * int(get("model.hidden_dim", 256)) // 256,
            candidates=max(1, min(queries, int(get("model.num_select", 300))) // 10),
            class_weight=float(get("model.cls_loss_coef", 2.0)) / 2,
            box_weight=float(get("model.bbox_loss_coef", 5.0)) / 5,
            size_weight=float(get("model.giou_loss_coef", 2.0)) / 2,
        )

    def rate(self, epoch: int) -> float:
        """The share of the learning rate that is left in an epoch."""
        if self.scheduler == "StepLR":
            return self.decay ** (epoch // self.step_size)
        return self.decay ** sum(epoch >= milestone for milestone in self.milestones)
