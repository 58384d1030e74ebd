"""Groups of keys of the models that detect what a text names, over what the DETR models share."""

from __future__ import annotations

import detr
import toolkit
from fields import INF, Group, Leaf, items, mapping

BACKBONES = (*(name for name in detr.BACKBONES if name.startswith("swin_")), "resnet_50")

NETWORK = (
    detr.MODEL.plus(**detr.DENOISING)
    .changed("backbone", default="swin_tiny_224_1k", options=BACKBONES)
    .changed("num_queries", default=900, automl=None)
    .changed("dn_number", default=0, minimum=0)
    .changed(
        "num_select",
        text="Boxes kept after scoring. Below num_queries times the categories of the captions.",
    )
    .changed(
        "backbone_names",
        text="Prefixes of the weights that get lr_backbone: the backbone's and the text encoder's.",
        default=["backbone.0", "bert"],
    )
    .plus(
        set_cost_class=Leaf("float", "Weight of the class when boxes are matched.", 1.0, minimum=0.0, maximum=INF),
        set_cost_bbox=Leaf("float", "Weight of the L1 distance in the matching.", 5.0, minimum=0.0, maximum=INF),
        set_cost_giou=Leaf("float", "Weight of the generalised IoU in the matching.", 2.0, minimum=0.0, maximum=INF),
        focal_gamma=Leaf("float", "Exponent of the focal loss.", 2.0, condition="> 0.0"),
        text_encoder_type=Leaf(
            "string", "Name of a BERT model, which is downloaded, or the folder of one.", "bert-base-uncased"
        ),
        max_text_len=Leaf("int", "Longest text, in tokens. The label maps are made for 256.", 256, minimum=1),
        class_embed_bias=Leaf("bool", "Learn a bias in the comparison of boxes and text.", False),
        log_scale=Leaf("string", "How the similarity of boxes and text is scaled: none, auto or a number.", "none"),
    )
)

TRAINED_ON = {"image_dir": "", "json_file": "", "label_map": ""}
MEASURED_ON = {"image_dir": "", "json_file": ""}

DATASET = (
    detr.DATASET.without("num_classes", "train_sampler")
    .changed("batch_size", automl=None)
    .changed("workers", automl=None)
    .changed("eval_class_ids", text="Category ids that are scored, from 0.")
    .plus(
        train_data_sources=items(
            "ODVG datasets to train on: image_dir, json_file and, for detection data, label_map of each.",
            [TRAINED_ON, MEASURED_ON],
        ),
        val_data_sources=mapping(
            "The COCO dataset to validate on, with category ids from 0. Always needed.", MEASURED_ON
        ),
        infer_data_sources=mapping(
            "Image folders to run inference on, and the captions to look for.", {"image_dir": [""], "captions": [""]}
        ),
        max_labels=Leaf(
            "int",
            "Most labels in the text of a training image; others than the image's own fill it up.",
            50,
            minimum=1,
            maximum=INF,
            condition=">0",
        ),
    )
)

# The rates of these models have no upper bound and no condition.
_FREE = ("lr", "lr_backbone", "lr_linear_proj_mult", "momentum", "weight_decay", "lr_decay")


def _optim() -> Group:
    group = detr.OPTIM
    for name in _FREE:
        group = group.changed(name, maximum=INF, condition=None)
    step = {"default": 10, "minimum": 0, "maximum": INF, "condition": None}
    return (
        group.changed("lr_step_size", **step)
        .changed("lr_steps", default=[10])
        .changed("lr_backbone", text="Learning rate of the backbone and the text encoder.")
        .changed("optimizer", text="The optimizer. The trainer has AdamW only.")
    )


TRAIN = detr.TRAIN.plus(optim=_optim()).changed("precision", options=("fp16", "fp32", "bf16"))

GEN_TRT_ENGINE = toolkit.GEN_TRT_ENGINE.plus(
    tensorrt=toolkit.TENSORRT.changed("workspace_size", default=8192).changed("max_batch_size", default=4)
)
