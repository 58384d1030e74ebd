"""Deformable DETR: a lighter detector. Its own keys over what the DETR models share, and its actions."""

from __future__ import annotations

import detr
import toolkit
from fields import Leaf
from schema import Model

BACKBONES = tuple(name for name in detr.BACKBONES if name.startswith("gc_vit_") or name == "resnet_50")

NETWORK = (
    detr.MODEL.changed("backbone", options=BACKBONES)
    .changed("num_queries", minimum=100, maximum=900)
    .changed("enc_layers", maximum=12)
    .changed("dec_layers", maximum=12)
    .changed("dim_feedforward", default=1024)
    .changed("dropout_ratio", default=0.3)
    .plus(
        with_box_refine=Leaf("bool", "Refine the boxes after each decoder layer.", True),
        dld_model_dir_path=Leaf("string", "Folder of an edited model, as DLD exports it.", ""),
    )
)

DATASET = detr.DATASET.plus(augmentation=detr.AUGMENTATION.changed("scales", kind="list_2"))

OPTIM = (
    detr.OPTIM.changed("lr", maximum=0.01)
    .changed("lr_backbone", maximum=0.001)
    .changed("weight_decay", maximum=0.1)
    .changed("lr_steps", kind="list_2", default=[40])
    .changed("lr_step_size", default=40)
)

TRAIN = detr.TRAIN.plus(
    optim=OPTIM,
    input_width=Leaf("int", "Width of the input, in pixels.", minimum=1),
    input_height=Leaf("int", "Height of the input, in pixels.", minimum=1),
    verbose=Leaf("bool", "Log in detail.", False),
)

SPEC = toolkit.spec(NETWORK, DATASET, TRAIN)

MODEL = Model(
    folder="tao-train-deformable-detr",
    name="deformable_detr",
    network_arch="deformable_detr",
    actions={
        **toolkit.trained(SPEC, detr.EVALUATE, detr.EXPORT, detr.INFERENCE),
        **toolkit.deployed(SPEC, detr.GEN_TRT_ENGINE, detr.EVALUATE, detr.INFERENCE),
    },
)
