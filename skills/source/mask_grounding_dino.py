"""Mask Grounding DINO: boxes and masks for what a text names. Its own keys, and its actions."""

from __future__ import annotations

import detr
import grounding
import toolkit
from fields import INF, Leaf, items, mapping
from schema import Model

_PINNED = {"minimum": 6, "maximum": 6, "automl": False}


def _weight(of: str, default: float) -> Leaf:
    return Leaf("float", f"Weight of {of}.", default, minimum=0.0, maximum=INF)


NETWORK = (
    grounding.NETWORK.changed("enc_layers", **_PINNED)
    .changed("dec_layers", **_PINNED)
    .plus(
        has_mask=Leaf("bool", "Predict masks too. Training turns it on in any case.", True),
        num_region_queries=Leaf("int", "Queries that find the regions of a text.", 100),
        loss_types=items("Losses that are computed. Training needs masks.", ["labels", "boxes", "masks"]),
        mask_loss_coef=_weight("the mask loss", 2.0),
        dice_loss_coef=_weight("the dice loss of the masks", 5.0),
        rela_nt_loss_coef=_weight("the loss on texts that name nothing in the image", 1.0),
        rela_minimap_loss_coef=_weight("the loss on the coarse map of regions", 0.5),
        rela_union_mask_loss_coef=_weight("the loss on the union of all masks", 2.0),
    )
)

_TYPE = "data_type is OD for boxes and masks by category, VG for one text an image."

DATASET = grounding.DATASET.plus(
    has_mask=Leaf("bool", "Load the masks of the annotations. Training turns it on in any case.", True),
    val_data_sources=mapping(
        f"The COCO dataset to validate on, with category ids from 0. Always needed. {_TYPE}",
        {**grounding.MEASURED_ON, "data_type": "VG"},
    ),
    test_data_sources=mapping(
        f"The COCO dataset that evaluate measures on. {_TYPE}", {**grounding.MEASURED_ON, "data_type": ""}
    ),
    infer_data_sources=mapping(
        f"The images to run inference on; captions with OD, json_file with VG. {_TYPE}",
        {"image_dir": "", "data_type": ""},
    ),
)

THRESHOLDS = {
    "ioi_threshold": Leaf("float", "Least share of a mask that its region must cover.", 0.5),
    "nms_threshold": Leaf("float", "Overlap above which the weaker of two boxes is dropped.", 0.2),
    "text_threshold": Leaf("float", "Least agreement of a box with the text.", 0.3),
}
EVALUATE = detr.EVALUATE.plus(**THRESHOLDS)
INFERENCE = detr.INFERENCE.plus(**THRESHOLDS)

SPEC = toolkit.spec(NETWORK, DATASET, grounding.TRAIN)

MODEL = Model(
    folder="tao-train-mask-grounding-dino",
    name="mask_grounding_dino",
    network_arch="mask_grounding_dino",
    actions={
        **toolkit.trained(SPEC, EVALUATE, detr.EXPORT, INFERENCE),
        **toolkit.deployed(SPEC, grounding.GEN_TRT_ENGINE, EVALUATE, INFERENCE),
    },
)
