"""The networks whose contract is kept: their titles in status lines and the names of their files."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Network:
    """`title` stands in status lines, `latest` is the link to the newest checkpoint, `config` the spec's class."""

    name: str
    title: str
    latest: str
    config: str


NETWORKS = {
    network.name: network
    for network in (
        Network("dino", "DINO", "dino_model_latest.pth", "DINO"),
        Network("deformable_detr", "Deformable DETR", "dd_model_latest.pth", "DD"),
    )
}
ACTIONS = ("train", "evaluate", "inference", "export")
