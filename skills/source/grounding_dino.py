"""Grounding DINO: boxes for what a text names. Its actions; its keys are those of grounding.py."""

from __future__ import annotations

import detr
import grounding
import toolkit
from schema import Model

SPEC = toolkit.spec(grounding.NETWORK, grounding.DATASET, grounding.TRAIN)

MODEL = Model(
    folder="tao-train-grounding-dino",
    name="grounding_dino",
    network_arch="grounding_dino",
    actions={
        **toolkit.trained(SPEC, detr.EVALUATE, detr.EXPORT, detr.INFERENCE),
        **toolkit.deployed(SPEC, grounding.GEN_TRT_ENGINE, detr.EVALUATE, detr.INFERENCE),
    },
)
