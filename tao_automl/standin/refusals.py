"""What TAO refuses of a spec once it runs, in TAO's words where a reader of logs must know them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from tao_automl.standin import specfile
from tao_automl.standin.examples import Examples
from tao_automl.standin.networks import Network

TEXT_LENGTH = 256  # tokens: fixed in TAO's code, whatever model.max_text_len says
LAYERS = 6  # of encoder and decoder, the only number a network with masks takes
SCHEDULERS = ("MultiStep", "StepLR")
PRECISIONS = ("fp16", "fp32")


def at_start(spec: dict[str, Any], network: Network) -> None:
    """What is refused before data is read.

    Raises:
        ValueError: sizes do not fit each other.
        NotImplementedError: there is no such optimizer, scheduler or precision.
        AssertionError: a network with masks is asked for something else.
        OSError: the text encoder is a folder that is not there.
    """
    model = specfile.get(spec, "model", {})
    levels, indices = model.get("num_feature_levels"), model.get("return_interm_indices")
    if levels is not None and indices is not None and len(indices) != levels:
        raise ValueError(f"num_feature_levels: {levels} does not match the size of return_interm_indices: {indices}")
    hidden, heads = int(model.get("hidden_dim") or 256), int(model.get("nheads") or 8)
    if hidden % heads:
        raise ValueError(f"d_model must be divisible by n_heads, but got {hidden} and {heads}")
    scheduler = specfile.get(spec, "train.optim.lr_scheduler", SCHEDULERS[0])
    if scheduler not in SCHEDULERS:
        raise NotImplementedError(f"LR Scheduler {scheduler} is not implemented")
    precision = specfile.get(spec, "train.precision", "fp32")
    if precision not in (*PRECISIONS, *(("bf16",) if network.grounded else ())):
        raise NotImplementedError(f"{precision} is not supported. Only {' and '.join(PRECISIONS)} are supported")
    if network.grounded:
        _grounded(spec)
    if network.masks:
        _masks(model)


def _grounded(spec: dict[str, Any]) -> None:
    optimizer = specfile.get(spec, "train.optim.optimizer", "AdamW")
    if optimizer != "AdamW":
        raise NotImplementedError(f"Optimizer {optimizer} is not implemented")
    encoder = str(specfile.get(spec, "model.text_encoder_type", "bert-base-uncased"))
    if encoder.startswith((os.sep, ".")) and not Path(encoder).is_dir():
        raise OSError(f"Can't load tokenizer for '{encoder}': there is no such folder")


def _masks(model: dict[str, Any]) -> None:
    for key in ("enc_layers", "dec_layers"):
        assert int(model.get(key) or LAYERS) == LAYERS, f"model.{key} must be {LAYERS}"
    assert "masks" in (model.get("loss_types") or ["masks"]), "`masks` must be included in `loss_types`."


def at_validation(spec: dict[str, Any], network: Network, classes: int) -> None:
    """What breaks the first validation.

    Raises:
        RuntimeError: more boxes are selected than there are, or the text is cut shorter than the label maps.
    """
    queries = int(specfile.get(spec, "model.num_queries", 300))
    if int(specfile.get(spec, "model.num_select", 0)) > queries * classes:
        raise RuntimeError("selected index k out of range")
    length = int(specfile.get(spec, "model.max_text_len", TEXT_LENGTH))
    if network.grounded and length != TEXT_LENGTH:
        raise RuntimeError(
            f"mat1 and mat2 shapes cannot be multiplied ({queries}x{length} and {TEXT_LENGTH}x{classes})"
        )


def too_little(found: int, needed: int, word: str) -> None:
    """Raises:
    ValueError: a set has fewer images than one step of all GPUs takes.
    """
    if found < needed:
        raise ValueError(
            f"Dataset size ({found}) is smaller than the total batch size ({needed}). Not enough data for {word}."
        )


def step(spec: dict[str, Any], action: str) -> int:
    """Images that a step of an action takes, on all its GPUs."""
    own = int(specfile.get(spec, f"{action}.batch_size", -1))
    batch = own if own > 0 else int(specfile.get(spec, "dataset.batch_size", 4))
    return batch * int(specfile.get(spec, f"{action}.num_gpus", 1))


def in_training(spec: dict[str, Any], network: Network, examples: Examples, batch: int) -> None:
    """What breaks the first batch that is full enough.

    Raises:
        IndexError: a batch may hold more objects than there are queries.
    """
    queries = int(specfile.get(spec, "model.num_queries", 900))
    fullest = np.sort(np.bincount(examples.truth.image))[::-1]
    if network.grounded and fullest[:batch].sum() > queries:
        raise IndexError(f"index {queries} is out of bounds for dimension 0 with size {queries}")
