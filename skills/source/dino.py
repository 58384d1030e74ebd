"""DINO: detection with denoising queries. Its own keys over what the DETR models share, and its actions."""

from __future__ import annotations

import detr
import toolkit
from fields import Group, Leaf, items, mapping
from schema import Model

NETWORK = detr.MODEL.plus(
    **detr.DENOISING,
    distillation_loss_coef=Leaf("float", "Weight of the loss against the teacher, in distill.", 1.0, minimum=0.0),
)

DATASET = detr.DATASET.plus(augmentation=detr.AUGMENTATION.changed("train_random_crop_min", maximum=1024))

OPTIM = detr.OPTIM.plus(
    layer_decay_rate=Leaf(
        "float",
        "Factor on the learning rate from each layer of a ViT backbone to the one below.",
        0.65,
        minimum=0.0,
        maximum=1.0,
        condition="> 0.0",
        automl=True,
    )
)

TRAIN = detr.TRAIN.plus(
    conf_threshold=Leaf("float", "Boxes that score lower are left out of the validation.", 0.0), optim=OPTIM
)

DISTILL = Group(
    "How a small model learns from a large one.",
    {
        "teacher": Group("The network of the teacher, whose backbone is a FAN model.", NETWORK.unsearched().children),
        "pretrained_teacher_model_path": Leaf("string", "Checkpoint of the teacher.", ""),
        "bindings": items("Which module of the student learns from which of the teacher, and by what loss.", []),
        "results_dir": Leaf("string", "Folder for what this action writes; empty: distill below results_dir.", ""),
    },
)

# `distill` is described in full for its own action only.
SPEC = toolkit.spec(NETWORK, DATASET, TRAIN, distill=mapping("How a small model learns from a large one."))

MODEL = Model(
    folder="tao-train-dino",
    name="dino",
    network_arch="dino",
    actions={
        **toolkit.trained(SPEC, detr.EVALUATE, detr.EXPORT, detr.INFERENCE),
        "distill": SPEC.plus(distill=DISTILL),
        **toolkit.deployed(SPEC, detr.GEN_TRT_ENGINE, detr.EVALUATE, detr.INFERENCE),
    },
)
