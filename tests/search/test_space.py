from __future__ import annotations

import subprocess
import sys

import pytest
from optuna.trial import FixedTrial

from tao_automl.search.overrides import Overrides
from tao_automl.search.space import Limits, SearchSpace
from tao_automl.tao.facts import ActiveFact, SearchFacts
from tao_automl.tao.schema import Schema


def test_the_template_of_a_detector_leaves_eight_live_dimensions(detr, by_path):
    found = by_path(detr.space())
    spans = {path: (p.low, p.high, p.step, p.log) for path, p in found.items() if p.choices is None}
    assert spans == {
        "train.optim.lr": (1e-5, 1e-3, None, True),
        "train.optim.lr_backbone": (1e-6, 1e-4, None, True),
        "train.optim.weight_decay": (1e-6, 1e-2, None, True),
        "model.enc_layers": (3, 9, None, False),
        "model.dec_layers": (3, 9, None, False),
        "model.num_queries": (100, 900, 50, False),
        "dataset.augmentation.horizontal_flip_prob": (0.0, 1.0, None, False),
    }
    assert found["dataset.batch_size"].choices == (1, 2, 4, 8, 16)
    assert len(found) == 8


def test_nothing_of_the_default_set_is_dropped_silently(detr, by_path, why_kept):
    space = detr.space()
    assert set(by_path(space)) | set(why_kept(space)) == set(detr.schema.default_set)
    assert all(why_kept(space).values())


def test_trial_zero_holds_the_launched_values(detr, by_path):
    space = detr.space()
    values = space.suggest(FixedTrial(space.centre()))
    for path, parameter in by_path(space).items():
        assert values[path] == parameter.default == detr.leaves[path]["default"]


def test_the_crop_is_sampled_as_a_gap_above_its_parent(detr, by_path):
    space = detr.space(dataset__augmentation__fixed_random_crop=None)
    crop = by_path(space)["dataset.augmentation.train_random_crop_max"]
    assert (crop.name, crop.gap, crop.step) == ("dataset.augmentation.train_random_crop_max@gap", (8, 600), 8)
    assert space.centre()[crop.name] == 216
    assert space.decode(space.centre())[crop.path] == 600


# ---- identity


_PRINT = """
import sys
from tao_automl.search.overrides import Overrides
from tao_automl.search.space import Limits, SearchSpace
from tao_automl.tao.facts import SearchFacts
from tao_automl.tao.schema import Schema
leaf = {"type": "categorical", "default": "a", "enum": ["a", "b"], "automl_enabled": True}
document = {"properties": {f"leaf{i}": leaf for i in range(9)}}
schema = Schema.parse(document, "test")
launched = {name: "a" for name in schema.fields}
print(SearchSpace.build(schema, launched, SearchFacts(), Overrides(), Limits(3)).fingerprint())
"""


def test_the_fingerprint_is_the_same_in_another_process():
    printed = {
        subprocess.run(
            [sys.executable, "-c", _PRINT],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(printed) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"train__optim__lr": 1e-4},
        {"search": "train.optim.lr=1e-5..1e-4"},
        {"keep": {"train.optim.lr": "kept"}},
        {"limits": Limits(epochs=10, samples=3)},
        {"model__num_select": 200},
    ],
)
def test_the_fingerprint_differs_as_soon_as_other_configs_can_be_proposed(detr, changes):
    changes = dict(changes)
    search = [changes.pop("search")] if "search" in changes else []
    assert detr.space(*search, **changes).fingerprint() != detr.space().fingerprint()


def test_the_fingerprint_does_not_look_at_words(detr):
    first = detr.space(keep={"train.optim.lr": "kept by --keep"})
    assert first.fingerprint() == detr.space(keep={"train.optim.lr": "for another reason"}).fingerprint()


def test_as_dict_is_what_space_json_prints(detr):
    shown = detr.space().as_dict()
    lr = next(entry for entry in shown["searched"] if entry["path"] == "train.optim.lr")
    assert {key: lr[key] for key in ("type", "low", "high", "log", "step", "choices", "default", "origin")} == {
        "type": "float",
        "low": 1e-5,
        "high": 1e-3,
        "log": True,
        "step": None,
        "choices": None,
        "default": 2e-4,
        "origin": "role: learning rate",
    }
    assert {"path", "default", "why"} == set(shown["kept"][0])
    assert shown["rules"][0]["rule"] == "model.num_select <= model.num_queries"


def test_a_space_without_parameters_still_suggests_nothing():
    schema = Schema.parse({"properties": {}}, "test")
    space = SearchSpace.build(schema, {}, SearchFacts(active=(ActiveFact("a.b"),)), Overrides(), Limits(1))
    assert space.parameters == ()
    assert space.suggest(FixedTrial({})) == {}
