"""Reads a spec as the TAO launcher does: known keys only, `key.sub=value` from the command line on top."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from tao_automl.standin.networks import Network

_TOP = (
    "train evaluate inference export model dataset quantize distill gen_trt_engine wandb results_dir"
    " encryption_key model_name"
)
_TRAIN = (
    "activation_checkpoint checkpoint_interval checkpoint_interval_unit checkpointer clip_grad_norm conf_threshold"
    " cudnn distributed_strategy enable_ema ema freeze gpu_ids input_height input_width is_dry_run num_epochs num_gpus"
    " num_nodes optim precision pretrained_model_path results_dir resume_training_checkpoint_path seed"
    " validation_interval verbose"
)
_MODEL = (
    "aux_loss backbone backbone_names bbox_loss_coef clip_max_norm cls_loss_coef dec_layers dec_n_points"
    " decoder_sa_type dilation dim_feedforward dn_box_noise_scale dn_label_noise_ratio dn_number dropout_ratio"
    " embed_init_tgt enc_layers enc_n_points fix_refpoints_hw focal_alpha giou_loss_coef hidden_dim interm_loss_coef"
    " linear_proj_names loss_types nheads no_interm_box_loss num_feature_levels num_queries num_select pe_temperatureH"
    " pe_temperatureW pre_norm pretrained_backbone_path return_interm_indices train_backbone two_stage_type use_dn"
)
_CLOSED_MODEL = " distillation_loss_coef dld_model_dir_path with_box_refine"
_GROUNDED_MODEL = (
    " class_embed_bias focal_gamma log_scale max_text_len set_cost_bbox set_cost_class set_cost_giou text_encoder_type"
)
_MASK_MODEL = (
    " dice_loss_coef has_mask mask_loss_coef num_region_queries rela_minimap_loss_coef rela_nt_loss_coef"
    " rela_union_mask_loss_coef"
)
_DATASET = (
    "augmentation batch_size dataset_type eval_class_ids infer_data_sources pin_memory quant_calibration_data_sources"
    " test_data_sources train_data_sources val_data_sources workers"
)


def known(network: Network) -> dict[str, list[str]]:
    """The keys of a network's spec by their group; any other is refused, as TAO's own spec classes do."""
    model, dataset = _MODEL, _DATASET
    model += _GROUNDED_MODEL if network.grounded else _CLOSED_MODEL
    dataset += " max_labels" if network.grounded else " num_classes train_sampler"
    if network.masks:
        model += _MASK_MODEL
        dataset += " has_mask"
    return {"": _TOP.split(), "train": _TRAIN.split(), "model": model.split(), "dataset": dataset.split()}


class SpecError(Exception):
    """The spec does not fit its class; nothing has been made yet."""


def load(path: Path, overrides: Sequence[str], network: Network) -> dict[str, Any]:
    """The spec of a file with the command line's values over it.

    Raises:
        SpecError: a key is not known, a value is of another kind, or an override is not `key=value`.
    """
    spec: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    for override in overrides:
        key, found, value = override.partition("=")
        if not found:
            raise SpecError(f"missing EQUAL at '{override}'")
        group = spec
        *parents, last = key.split(".")
        for parent in parents:
            group = group.setdefault(parent, {})
        group[last] = yaml.safe_load(value)
    for prefix, keys in known(network).items():
        group = spec if prefix == "" else spec.get(prefix) or {}
        for key in group:
            if key not in keys:
                full = f"{prefix}.{key}" if prefix else key
                raise SpecError(
                    f"Error merging '{path.name}' with schema\n"
                    f"Key '{key}' not in '{network.config}{prefix.capitalize()}ExpConfig'\n    full_key: {full}"
                )
    if network.grounded and isinstance(get(spec, "dataset.val_data_sources"), list):
        raise SpecError(
            f"Error merging '{path.name}' with schema\nCannot merge DictConfig with ListConfig\n"
            "    full_key: dataset.val_data_sources"
        )
    return spec


def get(spec: dict[str, Any], key: str, default: Any = None) -> Any:
    """A value by its dotted key; an absent or null one is `default`."""
    value: Any = spec
    for part in key.split("."):
        if not isinstance(value, dict):
            return default
        value = value.get(part)
    return default if value is None else value


def results_folder(spec: dict[str, Any], action: str, name: str = "") -> Path:
    """Where an action writes: its own results_dir as it is, else `results_dir` with the action's name, or `name`.

    Raises:
        ValueError: neither is set.
    """
    own = get(spec, f"{action}.results_dir", "")
    if own:
        return Path(own)
    if not get(spec, "results_dir", ""):
        raise ValueError("You need to set at least one of following fields: results_dir, {action}.results_dir")
    return Path(spec["results_dir"]) / (name or action)


def sources(value: Any) -> list[tuple[Path, ...]]:
    """The (image folder, annotation file[, label map]) of a data source, which is a mapping or a list of them."""
    entries = [value] if isinstance(value, dict) else list(value or [])
    keys = ("image_dir", "json_file", "label_map")
    return [
        tuple(Path(entry[key]) for key in keys if key != "label_map" or entry.get(key))
        for entry in entries
        if entry.get("json_file")
    ]


def require_files(found: Sequence[tuple[Path, ...]]) -> None:
    """Raises:
    FileNotFoundError: a folder or file is not there, or none is named.
    """
    if not found:
        raise FileNotFoundError("[Errno 2] No such file or directory: ''")
    for source in found:
        for path in source:
            if not path.exists():
                raise FileNotFoundError(f"[Errno 2] No such file or directory: '{path}'")
