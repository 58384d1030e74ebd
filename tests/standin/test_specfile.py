"""Specs as the launcher reads them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tao_automl.standin import specfile
from tao_automl.standin.networks import NETWORKS

DINO = NETWORKS["dino"]


def write(folder: Path, text: str) -> Path:
    path = folder / "spec.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_command_line_beats_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "train: {num_epochs: 3}\n")
    spec = specfile.load(path, ["train.num_epochs=7", "train.optim.lr=1e-3", "results_dir=/r"], DINO)
    assert specfile.get(spec, "train.num_epochs") == 7
    assert specfile.get(spec, "results_dir") == "/r"


@pytest.mark.parametrize("text", ["foo: 1", "train: {foo: 1}", "model: {foo: 1}", "dataset: {foo: 1}"])
def test_a_key_that_no_network_has_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(specfile.SpecError, match="Key 'foo' not in 'DINO"):
        specfile.load(write(tmp_path, text), [], DINO)


def test_an_override_without_a_value_is_refused(tmp_path: Path) -> None:
    with pytest.raises(specfile.SpecError, match="missing EQUAL"):
        specfile.load(write(tmp_path, ""), ["train.num_epochs"], DINO)


def test_results_go_below_the_results_folder_unless_the_action_has_its_own() -> None:
    assert specfile.results_folder({"results_dir": "/r"}, "train") == Path("/r/train")
    assert specfile.results_folder({"results_dir": "/r", "train": {"results_dir": "/own"}}, "train") == Path("/own")
    with pytest.raises(ValueError, match="results_dir"):
        specfile.results_folder({}, "train")


def test_a_null_counts_as_absent() -> None:
    assert specfile.get({"a": {"b": None}}, "a.b", 5) == 5
    assert specfile.get({"a": 1}, "a.b", 5) == 5


def test_data_sources_may_be_one_mapping_or_a_list() -> None:
    one = {"image_dir": "/i", "json_file": "/a.json"}
    pair = (Path("/i"), Path("/a.json"))
    assert specfile.sources(one) == [pair]
    assert specfile.sources([one, {"image_dir": "/x", "json_file": ""}]) == [pair]
    assert specfile.sources([{**one, "label_map": "/l.json"}, {**one, "label_map": ""}]) == [
        (*pair, Path("/l.json")),
        pair,
    ]
    assert specfile.sources(None) == []


@pytest.mark.parametrize(
    ("network", "key"),
    [
        ("grounding_dino", "dataset.num_classes"),
        ("grounding_dino", "model.has_mask"),
        ("mask_grounding_dino", "dataset.train_sampler"),
        ("dino", "model.max_text_len"),
        ("deformable_detr", "dataset.max_labels"),
        ("mask_grounding_dino", "val_data_sources.data_type"),
    ],
)
def test_a_key_of_another_network_is_refused(tmp_path: Path, network: str, key: str) -> None:
    with pytest.raises(specfile.SpecError, match=f"full_key: {key.removesuffix('.data_type')}"):
        specfile.load(write(tmp_path, ""), [f"{key}=1"], NETWORKS[network])


def test_networks_with_captions_take_one_source_to_validate_on(tmp_path: Path) -> None:
    path = write(tmp_path, "dataset: {val_data_sources: [{image_dir: /i, json_file: /a.json}]}\n")
    assert specfile.load(path, [], DINO)
    with pytest.raises(specfile.SpecError, match=r"full_key: dataset\.val_data_sources"):
        specfile.load(path, [], NETWORKS["grounding_dino"])
