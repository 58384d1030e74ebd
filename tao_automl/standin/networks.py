"""The networks whose contract is kept: their titles in status lines and the names of their files."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Network:
    """`title` stands in status lines, `latest` is the link to the newest checkpoint, `config` the spec's class.

    grounded: it finds what captions name: it trains on ODVG files and counts categories from 0.
    masks: it outlines what it finds.
    distills: it can learn from a teacher.
    """

    name: str
    title: str
    latest: str
    config: str
    grounded: bool = False
    masks: bool = False
    distills: bool = False


NETWORKS = {
    network.name: network
    for network in (
        Network("dino", "DINO", "dino_model_latest.pth", "DINO", distills=True),
        Network("deformable_detr", "Deformable DETR", "dd_model_latest.pth", "DD"),
        Network("grounding_dino", "Grounding DINO", "gdino_model_latest.pth", "GDINO", grounded=True),
        Network(
            *("mask_grounding_dino", "Mask Grounding DINO", "mask_gdino_model_latest.pth", "MaskGDINO"),
            grounded=True,
            masks=True,
        ),
    )
}
ACTIONS = ("train", "evaluate", "inference", "export", "quantize", "distill", "gen_trt_engine")
# What an image has of them: STANDIN_IMAGE says which image is played; unset, it is both at once.
IMAGES = {"train": ACTIONS[:-1], "deploy": ("gen_trt_engine", "evaluate", "inference")}


def actions(network: Network, image: str | None) -> tuple[str, ...]:
    """The actions of a network in an image, train or deploy, or in either."""
    there = IMAGES.get(image or "", ACTIONS)
    return tuple(action for action in there if action != "distill" or network.distills)
