"""Groups of keys that every model of the toolkit has: trainer, quantizer, tracker and what comes after."""

from __future__ import annotations

from collections.abc import Mapping

from fields import INF, Group, Leaf, items, mapping

_RESULTS = Leaf("string", "Folder for what this action writes; empty: a folder of its name below results_dir.", "")


def _devices(what: str) -> dict[str, Leaf | Group]:
    """The keys that say on what an action runs."""
    return {
        "num_gpus": Leaf("int", f"GPUs that {what} uses on each node.", 1, minimum=1, popular=True),
        "gpu_ids": items("Which GPUs, counted from 0. As many as num_gpus.", [0], popular=True),
        "num_nodes": Leaf("int", f"Machines that {what} uses.", 1, minimum=1, popular=True),
    }


TRAIN: Mapping[str, Leaf | Group] = {
    **_devices("training"),
    "seed": Leaf("int", "Seed of everything random; below 0: none.", 1234, minimum=-1, maximum=INF),
    "cudnn": Group(
        "Settings of cuDNN.",
        {
            "benchmark": Leaf("bool", "Measure at the start which algorithm is fastest.", False),
            "deterministic": Leaf("bool", "Use only algorithms that give the same result each time.", True),
        },
    ),
    "num_epochs": Leaf("int", "Times that training goes through the data.", 10, minimum=1, maximum=INF, popular=True),
    "checkpoint_interval": Leaf(
        "int",
        "A checkpoint is written after this many epochs; not above num_epochs.",
        1,
        minimum=1,
        popular=True,
    ),
    "checkpoint_interval_unit": Leaf(
        "categorical", "What checkpoint_interval counts.", "epoch", options=("epoch", "step")
    ),
    "validation_interval": Leaf(
        "int",
        "The validation data is scored after this many epochs; not above num_epochs.",
        1,
        minimum=1,
        popular=True,
    ),
    "resume_training_checkpoint_path": Leaf("string", "Checkpoint to go on from, with the optimizer's state.", ""),
    "results_dir": _RESULTS,
}

QUANTIZE = Group(
    "How a trained model is quantized.",
    {
        "model_path": Leaf("string", "Checkpoint to quantize.", "", required=True),
        "results_dir": Leaf("string", "Folder for the quantized model.", "", required=True),
        "backend": Leaf(
            "categorical",
            "Library that quantizes.",
            "torchao",
            options=("modelopt.pytorch", "torchao", "modelopt.onnx"),
        ),
        "backend_kwargs": mapping("Further arguments of the library."),
        "mode": Leaf(
            "categorical",
            "static_ptq needs calibration data, weight_only_ptq does not.",
            "weight_only_ptq",
            options=("static_ptq", "weight_only_ptq"),
        ),
        "algorithm": Leaf(
            "categorical",
            "How scales are found.",
            "minmax",
            options=("minmax", "max", "entropy", "awq_clip", "awq_lite", "awq_full", "rtn_dq"),
        ),
        "device": Leaf("string", "Device to quantize on, such as cuda, cuda:1 or cpu.", "cuda"),
        "layers": items("What is done to which layers.", []),
        "skip_names": items("Names of modules that stay as they are.", []),
    },
)

WANDB = Group(
    "Tracking with Weights & Biases.",
    {
        "enable": Leaf("bool", "Send metrics there. Needs WANDB_API_KEY.", True),
        "project": Leaf("string", "Project of the run.", "TAO Toolkit"),
        "entity": Leaf("string", "User or team that owns the run.", ""),
        "name": Leaf("string", "Name of the run.", "TAO Toolkit Training"),
        "tags": items("Tags of the run.", ["tao-toolkit"]),
        "group": Leaf("string", "Group of the run.", ""),
        "run_id": Leaf("string", "Id of a run to go on with.", ""),
        "reinit": Leaf("bool", "Allow several runs in one process.", False),
        "sync_tensorboard": Leaf("bool", "Send what is written for TensorBoard too.", False),
        "save_code": Leaf("bool", "Send the main script too.", False),
    },
)

# Above all groups.
ROOT: Mapping[str, Leaf | Group] = {
    "results_dir": Leaf("string", "Folder for everything that a job writes.", ""),
    "encryption_key": Leaf("string", "Key of encrypted models.", ""),
    "model_name": Leaf("string", "Name of the network where the command does not say it.", ""),
}


def _reader(what: str) -> dict[str, Leaf | Group]:
    """The keys of an action that reads a trained model and data."""
    return {
        **_devices(what),
        "checkpoint": Leaf("string", "Checkpoint to read.", ""),
        "trt_engine": Leaf("string", "TensorRT engine to read instead; deploy container only.", ""),
        "results_dir": _RESULTS,
        "batch_size": Leaf("int", "Images in one step; -1: as dataset.batch_size.", -1, minimum=-1),
    }


EVALUATE = Group("How a trained model is measured.", _reader("the evaluation"))
INFERENCE = Group("How a trained model is applied.", _reader("the inference"))

_BATCH = Leaf("int", "Batch size of the network's input; -1: any.", -1, minimum=-1)
_VERBOSE = Leaf("bool", "Log in detail.", False)

EXPORT = Group(
    "How a trained model becomes an ONNX file.",
    {
        "results_dir": _RESULTS,
        "gpu_id": Leaf("int", "GPU that exports.", 0),
        "checkpoint": Leaf("string", "Checkpoint to export.", ""),
        "onnx_file": Leaf("string", "ONNX file to write. It must not exist.", ""),
        "on_cpu": Leaf("bool", "Make a model that runs on a CPU.", False),
        "input_channel": Leaf("ordered_int", "Colour channels of the input.", 3, minimum=1, options=(1, 3)),
        "input_width": Leaf("int", "Width of the input, in pixels.", 960, minimum=32),
        "input_height": Leaf("int", "Height of the input, in pixels.", 544, minimum=32),
        "opset_version": Leaf("int", "Operator set of the ONNX file.", 17, minimum=1),
        "batch_size": _BATCH,
        "verbose": _VERBOSE,
        "format": Leaf("categorical", "Kind of file.", "onnx", options=("onnx", "xdl")),
    },
)

CALIBRATION = Group(
    "Calibration of an INT8 engine.",
    {
        "cal_image_dir": items("Folders with images to calibrate on.", []),
        "cal_cache_file": Leaf("string", "Calibration cache to write.", ""),
        "cal_batch_size": Leaf("int", "Images in one calibration step.", 1, minimum=1, popular=True),
        "cal_batches": Leaf("int", "Calibration steps.", 1, minimum=1, popular=True),
    },
)

TENSORRT = Group(
    "The TensorRT builder.",
    {
        "data_type": Leaf("categorical", "Precision of the engine.", "FP32", options=("FP32", "FP16")),
        "workspace_size": Leaf("int", "Memory that the builder may use, in MB.", 1024, minimum=0),
        "min_batch_size": Leaf("int", "Smallest batch of the engine.", 1, minimum=1, popular=True),
        "opt_batch_size": Leaf("int", "Batch that the engine is tuned for.", 1, minimum=1, popular=True),
        "max_batch_size": Leaf("int", "Largest batch of the engine.", 1, minimum=1, popular=True),
        "layers_precision": items("Layers with a precision of their own.", []),
    },
)

GEN_TRT_ENGINE = Group(
    "How an ONNX file becomes a TensorRT engine.",
    {
        "results_dir": _RESULTS,
        "gpu_id": Leaf("int", "GPU that the engine is built on and for.", 0, minimum=0, popular=True),
        "onnx_file": Leaf("string", "ONNX file to read.", ""),
        "trt_engine": Leaf("string", "Engine to write.", ""),
        "timing_cache": Leaf("string", "Cache of measured times, read and written, which makes a build faster.", ""),
        "batch_size": Leaf("int", "Batch size of the network's input; -1: any.", -1, minimum=-1, popular=True),
        "verbose": _VERBOSE,
    },
)


def spec(model: Group, dataset: Group, train: Group, **more: Leaf | Group) -> Group:
    """What the container that trains reads, whatever the action."""
    own = {"model": model, "dataset": dataset, "train": train, **more}
    return Group("", {**ROOT, "wandb": WANDB, **own, "quantize": QUANTIZE})


def trained(spec: Group, evaluate: Group, export: Group, inference: Group) -> dict[str, Group]:
    """The specs of the actions that every model's own container has."""
    return {
        "train": spec,
        "evaluate": spec.plus(evaluate=evaluate),
        "export": spec.plus(export=export),
        "inference": spec.plus(inference=inference),
        "quantize": spec,
    }


def deployed(trained: Group, engine: Group, evaluate: Group, inference: Group) -> dict[str, Group]:
    """The actions of the deploy container, which neither trains nor tracks, and so has no keys for that."""
    read = Group("", {name: trained.children[name] for name in (*ROOT, "model", "dataset")})
    return {
        "deploy_gen_trt_engine": read.plus(gen_trt_engine=engine),
        "deploy_evaluate": read.plus(evaluate=evaluate),
        "deploy_inference": read.plus(inference=inference),
    }
