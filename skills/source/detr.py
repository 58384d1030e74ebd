"""Groups of keys that the DETR models of TAO share. A model adds, drops or changes what is its own."""

from __future__ import annotations

import toolkit
from fields import INF, Group, Leaf, items, mapping

BACKBONES = (
    *(f"fan_{size}" for size in ("tiny", "small", "base", "large")),
    *(f"gc_vit_{size}" for size in ("xxtiny", "xtiny", "tiny", "small", "base", "large", "large_384")),
    *(f"vit_large_{weights}" for weights in ("nvdinov2", "dinov2")),
    *(f"swin_{size}" for size in ("tiny_224_1k", "base_224_22k", "base_384_22k", "large_224_22k", "large_384_22k")),
    *(f"resnet_{depth}" for depth in (34, 50)),
    *(f"efficientvit_b{size}" for size in range(4)),
)

AUGMENTATION = Group(
    "How training images are varied.",
    {
        "scales": items(
            "Short sides, in pixels, that a training image is resized to at random.",
            [480, 512, 544, 576, 608, 640, 672, 704, 736, 768, 800],
        ),
        "input_mean": items("Mean of each colour channel, subtracted before the network.", [0.485, 0.456, 0.406]),
        "input_std": items("Deviation of each colour channel, divided by before the network.", [0.229, 0.224, 0.225]),
        "train_random_resize": items(
            "Short sides, in pixels, before a random crop. The smallest must reach train_random_crop_min.",
            [400, 500, 600],
        ),
        "horizontal_flip_prob": Leaf(
            "float", "Chance to mirror a training image.", 0.5, minimum=0.0, maximum=1.0, automl=True
        ),
        "train_random_crop_min": Leaf(
            "int", "Shortest edge of a random crop, in pixels.", 384, minimum=32, maximum=INF, automl=True
        ),
        "train_random_crop_max": Leaf(
            "int",
            "Longest edge of a random crop, in pixels.",
            600,
            minimum=32,
            maximum=1333,
            condition="> depends_on",
            depends_on="dataset.augmentation.train_random_crop_min",
            automl=True,
        ),
        "random_resize_max_size": Leaf(
            "int", "Longest side of an image after resizing, in pixels.", 1333, minimum=1, maximum=INF
        ),
        "test_random_resize": Leaf(
            "int",
            "Short side of images that are evaluated, in pixels.",
            800,
            minimum=32,
            maximum=INF,
            automl=False,
        ),
        "fixed_padding": Leaf("bool", "Pad every batch to the same size, which keeps the memory steady.", True),
        "fixed_random_crop": Leaf(
            "int",
            "Side of the canvas of large-scale jitter, in pixels. While it is set, the random crops"
            " and scales above are not used.",
            1024,
            minimum=1,
            maximum=INF,
        ),
    },
)

_SOURCE = {"image_dir": "", "json_file": ""}

DATASET = Group(
    "Data, and how it is loaded.",
    {
        "train_data_sources": items("COCO datasets to train on: image_dir and json_file of each.", [_SOURCE]),
        "val_data_sources": items("COCO datasets to validate on. Always needed.", [_SOURCE]),
        "test_data_sources": mapping("The COCO dataset that evaluate measures on.", _SOURCE),
        "infer_data_sources": mapping(
            "Image folders to run inference on, and the file with a class name in each line.",
            {"image_dir": [""], "classmap": ""},
        ),
        "quant_calibration_data_sources": mapping("The COCO dataset that quantize calibrates on.", _SOURCE),
        "train_sampler": Leaf(
            "categorical",
            "How training images are drawn.",
            "default_sampler",
            options=("default_sampler", "non_uniform_sampler", "uniform_sampler"),
        ),
        "batch_size": Leaf("int", "Images on each GPU in one step.", 4, minimum=1, maximum=INF, automl=True),
        "workers": Leaf("int", "Processes that load images, for each GPU.", 8, minimum=1, maximum=INF, automl=True),
        "pin_memory": Leaf("bool", "Load into page-locked memory, from which copies to the GPU are faster.", True),
        "dataset_type": Leaf(
            "categorical",
            "serialized shares the annotations between the loader processes; default copies them.",
            "serialized",
            options=("serialized", "default"),
        ),
        "num_classes": Leaf(
            "int",
            "Number of classes with the background: at least the highest category id + 1.",
            91,
            minimum=1,
            maximum=INF,
            condition=">0",
        ),
        "eval_class_ids": items(
            "Category ids that are scored. Name each of them: the default scores class 1 only.", [1]
        ),
        "augmentation": AUGMENTATION,
    },
)

MODEL = Group(
    "The network and its losses.",
    {
        "pretrained_backbone_path": Leaf("string", "File with pretrained weights of the backbone.", ""),
        "backbone": Leaf(
            "categorical", "The network that turns an image into features.", "resnet_50", options=BACKBONES
        ),
        "num_queries": Leaf(
            "int", "Object slots: the most boxes an image can get.", 300, minimum=1, maximum=INF, automl=True
        ),
        "num_feature_levels": Leaf(
            "int", "Scales of the feature pyramid. As many as return_interm_indices.", 4, minimum=1, maximum=5
        ),
        "return_interm_indices": items(
            "Stages of the backbone whose features are used: different ones of 0..4.", [1, 2, 3, 4]
        ),
        "cls_loss_coef": Leaf("float", "Weight of the class loss.", 2.0, minimum=0.0, maximum=INF),
        "bbox_loss_coef": Leaf("float", "Weight of the L1 box loss.", 5.0, minimum=0.0, maximum=INF),
        "giou_loss_coef": Leaf("float", "Weight of the generalised IoU loss.", 2.0, minimum=0.0, maximum=INF),
        "focal_alpha": Leaf("float", "Balance of the focal loss.", 0.25, condition="> 0.0"),
        "num_select": Leaf(
            "int",
            "Boxes kept after scoring. Below num_queries times num_classes.",
            300,
            minimum=1,
            maximum=1000,
            depends_on="model.num_queries",
            automl=True,
        ),
        "clip_max_norm": Leaf("float", "Longest gradient that is not clipped.", 0.1),
        "dropout_ratio": Leaf("float", "Share of features dropped in training.", 0.0, minimum=0.0, maximum=1.0),
        "hidden_dim": Leaf("int", "Width of the transformer. A multiple of nheads.", 256, automl=False),
        "nheads": Leaf("int", "Heads of each attention.", 8),
        "enc_layers": Leaf("int", "Layers of the encoder.", 6, minimum=1, automl=True),
        "dec_layers": Leaf("int", "Layers of the decoder.", 6, minimum=1, automl=True),
        "dim_feedforward": Leaf("int", "Width of the feed-forward layers.", 2048, minimum=1),
        "dec_n_points": Leaf("int", "Sampling points of the decoder's attention.", 4, minimum=1),
        "enc_n_points": Leaf("int", "Sampling points of the encoder's attention.", 4, minimum=1),
        "aux_loss": Leaf("bool", "Add a loss after each decoder layer.", True),
        "dilation": Leaf("bool", "Use dilated convolutions in the last stage of the backbone.", False),
        "train_backbone": Leaf("bool", "Train the backbone too.", True),
        "loss_types": items("Losses that are computed.", ["labels", "boxes"]),
        "backbone_names": items("Prefixes of the backbone's weights, which get lr_backbone.", ["backbone.0"]),
        "linear_proj_names": items(
            "Names of the projections that may get a learning rate of their own.",
            ["reference_points", "sampling_offsets"],
        ),
    },
)

# What a model with denoising queries has beyond MODEL.
DENOISING = {
    "pre_norm": Leaf("bool", "Normalise before each transformer layer instead of after it.", False),
    "two_stage_type": Leaf(
        "categorical",
        "standard lets the encoder propose boxes; no starts from learnt ones. One feature level needs no.",
        "standard",
        options=("standard", "no"),
    ),
    "decoder_sa_type": Leaf(
        "categorical", "Self-attention of the decoder.", "sa", options=("sa", "ca_label", "ca_content")
    ),
    "embed_init_tgt": Leaf("bool", "Learn the content of the queries too.", True),
    "fix_refpoints_hw": Leaf(
        "int",
        "Size of the reference boxes: -1 learns one for each box, -2 one for all, above 0 fixes it.",
        -1,
        minimum=-2,
        maximum=INF,
        condition="!= 0",
    ),
    "pe_temperatureH": Leaf("int", "Temperature of the position code, vertically.", 20, minimum=1, maximum=INF),
    "pe_temperatureW": Leaf("int", "Temperature of the position code, horizontally.", 20, minimum=1, maximum=INF),
    "interm_loss_coef": Leaf("float", "Weight of the loss on the encoder's proposals.", 1.0),
    "no_interm_box_loss": Leaf("bool", "Leave the boxes out of the loss on the encoder's proposals.", False),
    "use_dn": Leaf("bool", "Train with denoising queries.", True),
    "dn_number": Leaf("int", "Number of denoising queries.", 100, minimum=1, maximum=INF),
    "dn_box_noise_scale": Leaf(
        "float", "How far the boxes of denoising queries are moved.", 1.0, minimum=0.0, maximum=INF
    ),
    "dn_label_noise_ratio": Leaf("float", "Share of denoising queries with a wrong class.", 0.5, minimum=0.0),
}


def _rate(text: str, default: float) -> Leaf:
    """A factor or rate above 0, searched."""
    return Leaf("float", text, default, minimum=0.0, maximum=1.0, condition="> 0.0", automl=True)


OPTIM = Group(
    "Optimizer and learning rates.",
    {
        "optimizer": Leaf("categorical", "The optimizer.", "AdamW", options=("AdamW", "SGD")),
        "monitor_name": Leaf(
            "categorical",
            "The value that the scheduler watches.",
            "val_loss",
            options=("val_loss", "train_loss"),
        ),
        "lr": _rate("Learning rate of all but the backbone.", 0.0002),
        "lr_backbone": _rate("Learning rate of the backbone.", 2e-05),
        "lr_linear_proj_mult": _rate("Factor on lr for the sampling and reference projections.", 0.1),
        "momentum": _rate("Momentum of SGD.", 0.9),
        "weight_decay": _rate("Weight decay.", 0.0001),
        "lr_scheduler": Leaf(
            "categorical",
            "MultiStep lowers the learning rate after the epochs in lr_steps, StepLR every lr_step_size.",
            "MultiStep",
            options=("MultiStep", "StepLR"),
        ),
        "lr_steps": items("Epochs after which the learning rate falls. One at or past num_epochs has no effect.", [11]),
        "lr_step_size": Leaf(
            "int",
            "Epochs between two falls of the learning rate.",
            11,
            minimum=1,
            maximum=10000,
            condition="> 0",
            automl=True,
        ),
        "lr_decay": _rate("Factor by which the learning rate falls.", 0.1),
    },
)

# The trainer's keys beyond those of every model.
TRAIN = Group(
    "How a model is trained.",
    {
        **toolkit.TRAIN,
        "freeze": items("Prefixes of layers that are not trained.", []),
        "pretrained_model_path": Leaf("string", "Checkpoint whose weights training starts from.", ""),
        "clip_grad_norm": Leaf("float", "Longest gradient that is not clipped.", 0.1, condition="> 0.0"),
        "is_dry_run": Leaf("bool", "Only check that the spec is complete.", False),
        "optim": OPTIM,
        "precision": Leaf("categorical", "Precision of training.", "fp32", options=("fp16", "fp32")),
        "distributed_strategy": Leaf("categorical", "How several GPUs share the work.", "ddp", options=("ddp", "fsdp")),
        "activation_checkpoint": Leaf(
            "bool", "Compute features again in the backward pass: slower, less memory.", True
        ),
    },
)

EVALUATE = toolkit.EVALUATE.plus(
    input_width=Leaf("int", "Width of the input, in pixels.", minimum=1),
    input_height=Leaf("int", "Height of the input, in pixels.", minimum=1),
    conf_threshold=Leaf("float", "Boxes that score lower are left out.", 0.0),
)
INFERENCE = toolkit.INFERENCE.plus(
    color_map=mapping("Colour of the boxes of each class."),
    conf_threshold=Leaf("float", "Boxes that score lower are not drawn.", 0.5),
    is_internal=Leaf("bool", "Keep the folders of the input in the output.", False),
    input_width=Leaf("int", "Width of the input, in pixels.", 960, minimum=32),
    input_height=Leaf("int", "Height of the input, in pixels.", 544, minimum=32),
    outline_width=Leaf("int", "Width of the lines of drawn boxes, in pixels.", 3, minimum=1),
)
EXPORT = toolkit.EXPORT.plus(serialize_nvdsinfer=Leaf("bool", "Write the configuration for DeepStream too.", False))
GEN_TRT_ENGINE = toolkit.GEN_TRT_ENGINE.plus(
    tensorrt=toolkit.TENSORRT.changed("data_type", options=("FP32", "FP16", "INT8")).plus(
        calibration=toolkit.CALIBRATION
    )
)
