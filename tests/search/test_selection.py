from __future__ import annotations

import pytest

from tao_automl.errors import SkillError, UsageError
from tao_automl.search.space import Limits
from tao_automl.tao.facts import RangeFact, SearchFacts


def test_kept_parameters_name_the_value_that_switches_them_off(detr, why_kept):
    why = why_kept(detr.space())
    assert why["train.optim.momentum"] == "no effect: train.optim.optimizer is AdamW"
    assert why["train.optim.layer_decay_rate"] == "no effect: model.backbone is resnet_50"
    assert why["train.optim.lr_step_size"] == "no effect: train.optim.lr_scheduler is MultiStep"
    assert why["train.optim.lr_decay"] == (
        "no effect: train.optim.lr_steps is [11], not below train.num_epochs (10); "
        "with --set train.optim.lr_steps=[8] it would be searched"
    )
    assert why["dataset.augmentation.train_random_crop_min"] == (
        "no effect: dataset.augmentation.fixed_random_crop is 1024"
    )
    assert why["train.optim.lr_linear_proj_mult"] == "the trainer never reads it"
    assert why["dataset.workers"].startswith("speed only")


def test_keep_takes_a_parameter_out_with_its_reason(detr, by_path, why_kept):
    space = detr.space(keep={"train.optim.lr": "kept by --keep"})
    assert why_kept(space)["train.optim.lr"] == "kept by --keep"
    assert "train.optim.lr" not in by_path(space)


def test_keeping_what_is_not_searched_is_fine_and_what_is_unknown_is_not(detr, why_kept):
    assert "model.backbone" in why_kept(detr.space(keep={"model.backbone": "kept by --keep"}))
    with pytest.raises(UsageError) as raised:
        detr.space(keep={"train.optim.lrr": "kept by --keep"})
    assert "train.optim.lr" in raised.value.tip


def test_search_adds_a_leaf_beyond_the_default_set(detr, by_path):
    dropout = by_path(detr.space("model.dropout_ratio"))["model.dropout_ratio"]
    assert (dropout.low, dropout.high, dropout.default) == (0.0, 0.5, 0.0)


@pytest.mark.parametrize(
    ("search", "message", "tip"),
    [
        ("train.optim.lrr=1..2", "train.optim.lrr is not in the train schema of detr", "train.optim.lr"),
        ("train.optim", "is a group of keys", "name one of them"),
        ("train.num_epochs", "automl_enabled: false", "--set"),
        ("train.optim.lr=0.5..2", "2 lies outside the bounds of train.optim.lr: above 0, up to 1", "inside"),
        ("train.optim.lr=0..0.1", "0 lies outside the bounds of train.optim.lr: above 0, up to 1", "inside"),
        ("model.num_queries=0..300", "outside the bounds of model.num_queries: 1 or more", "inside"),
        ("model.enc_layers=1.5..3", "model.enc_layers is a whole number", "whole"),
        ("model.enc_layers=a,b", "model.enc_layers takes a whole number", "6"),
        ("model.backbone=1..3", "is a set of options", "--search model.backbone=resnet_34,resnet_50"),
        ("model.backbone=resnet_50,swin", "swin is no option of model.backbone", "resnet_34"),
        (
            "train.optim.momentum",
            "no effect: train.optim.optimizer is AdamW",
            "--set train.optim.optimizer=SGD",
        ),
        ("train.optim.lr_linear_proj_mult", "the trainer never reads it", "leave it out"),
        ("dataset.augmentation.train_random_resize", "automl_enabled: false", "--set"),
        ("train.optim.layer_decay_rate", "model.backbone is resnet_50", "vit"),
        ("train.optim.lr_decay", "lr_steps is [11]", "--set train.optim.lr_steps"),
    ],
)
def test_what_cannot_be_searched_is_refused_with_a_way_out(detr, search, message, tip):
    with pytest.raises(UsageError) as raised:
        detr.space(search)
    assert message in raised.value.message
    assert tip in raised.value.tip


def test_a_batch_range_beyond_the_data_is_refused(detr):
    with pytest.raises(UsageError, match="more than the data fill"):
        detr.space("dataset.batch_size=1..64", limits=Limits(epochs=10, samples=20))


def test_leaves_beside_a_switch_live_with_it(build, by_path, why_kept):
    leaves = {
        "aug.color.enable": {"type": "bool", "default": False, "automl_enabled": True},
        "aug.color.hue": {
            "type": "float",
            "default": 0.1,
            "minimum": 0.0,
            "maximum": 0.5,
            "automl_enabled": True,
        },
    }
    space = build(leaves)
    assert [item.text for item in by_path(space)["aug.color.hue"].active] == ["aug.color.enable is true"]
    alone = build({**leaves, "aug.color.enable": {"type": "bool", "default": False}})
    assert why_kept(alone) == {"aug.color.hue": "no effect: aug.color.enable is false"}


def test_ranges_and_further_keys_of_the_model_are_searched_and_say_where_they_come_from(detr, by_path):
    facts = SearchFacts(
        ranges={"train.optim.lr": RangeFact(1e-5, 5e-4, log=True, why="the vendor's own")},
        also=("model.dropout_ratio",),
    )
    found = by_path(detr.space(facts=facts))
    lr = found["train.optim.lr"]
    assert (lr.low, lr.high, lr.origin, lr.why) == (1e-5, 5e-4, "automl.yaml", "the vendor's own")
    assert "model.dropout_ratio" in found
    assert by_path(detr.space("train.optim.lr=1e-4..1e-3", facts=facts))["train.optim.lr"].origin == "--search"


@pytest.mark.parametrize("facts", [SearchFacts(also=("model.nothing",)), SearchFacts(ranges={"x.y": RangeFact(1, 2)})])
def test_facts_about_keys_that_the_schema_does_not_have_are_an_error(detr, facts):
    with pytest.raises(SkillError):
        detr.space(facts=facts)


def marked(kind: str, default: object, **leaf: object) -> dict:
    return {"type": kind, "default": default, "automl_enabled": True, **leaf}


@pytest.mark.parametrize(
    ("text", "low", "step"),
    [
        ("Has to be divisible by `dataset.split`.", 50, 10),
        ("a multiple of split", 50, 10),
        ("multiple of 25", 50, 25),
        ("divisible by nothing", 52, 4),
        ("any", 52, 4),
    ],
)
def test_a_multiple_that_only_the_description_states_is_the_step(build, by_path, text, low, step):
    leaves = {
        "dataset.split": {"type": "int", "default": 10},
        "dataset.window_length": marked("int", 100, minimum=50, maximum=140, description=text),
    }
    found = by_path(build(leaves))["dataset.window_length"]
    assert (found.low, found.high - found.high % step, found.step) == (low, found.high, step)


def test_where_only_the_batch_would_be_searched_the_optimizer_is_instead(build, by_path, why_kept):
    leaves = {
        "dataset.batch_size": marked("int", 8, minimum=1),
        "dataset.workers": marked("int", 8, minimum=1),
        "train.optimizer.lr": {"type": "float", "default": 2e-4, "math_cond": "> 0.0"},
        "train.optimizer.weight_decay": {"type": "float", "default": 0.01, "math_cond": "> 0.0"},
        "train.optimizer.min_lr": {"type": "float", "default": 1e-6, "automl_enabled": False},
        "train.optimizer.warmup_lr": {"type": "float", "default": None},
        "quantize.lr": {"type": "float", "default": 1e-4},
    }
    found = by_path(build(leaves))
    assert set(found) == {"dataset.batch_size", "train.optimizer.lr", "train.optimizer.weight_decay"}
    assert "nothing else of the default set steers the training" in found["train.optimizer.lr"].why
    assert set(by_path(build(leaves, "dataset.batch_size"))) == {"dataset.batch_size"}
    alive = {**leaves, "model.dropout": marked("float", 0.1)}
    assert set(by_path(build(alive))) == {"dataset.batch_size", "model.dropout"}


def test_an_element_of_a_list_is_searched_if_the_launched_list_has_it(build, by_path, why_kept):
    leaves = {
        "train.optim.lr": marked("float", 1e-4),
        "train.classify.cls_weight": {"type": "list", "default": [1.0, 10.0], "automl_enabled": False},
    }
    view = {"train.classify.cls_weight[1]": {"type": "float", "minimum": 1.0, "maximum": 100.0, "automl_enabled": True}}
    found = by_path(build({**leaves, **view}))["train.classify.cls_weight[1]"]
    assert (found.low, found.high, found.default) == (1.0, 100.0, 10.0)
    short = {**leaves, **view, "train.classify.cls_weight": {"type": "list", "default": [], "automl_enabled": False}}
    assert why_kept(build(short))["train.classify.cls_weight[1]"] == "the launched list has no such element"
    with pytest.raises(UsageError, match="the launched list has no such element"):
        build(short, "train.classify.cls_weight[1]=1..50")


@pytest.mark.parametrize("name", ["val_dataset", "validation_dataset", "test_dataset", "infer_dataset"])
def test_copies_of_an_augmentation_for_evaluation_are_kept(build, by_path, why_kept, name):
    leaves = {
        f"dataset.{part}.augmentation.flip_prob": marked("float", 0.5, minimum=0.0, maximum=1.0)
        for part in ("train_dataset", name)
    }
    space = build(leaves)
    assert list(by_path(space)) == ["dataset.train_dataset.augmentation.flip_prob"]
    assert why_kept(space)[f"dataset.{name}.augmentation.flip_prob"].startswith("evaluation only")


def test_a_number_that_is_launched_as_an_expression_starts_from_the_schemas_default(build, by_path):
    leaves = {
        "dataset.batch_size": marked("int", 16, minimum=1),
        "train.schedulers.learning_rate.val_base": {"type": "float", "default": 5e-4},
        "train.schedulers.weight_decay.val_base": {"type": "float", "default": 0.04},
        "train.schedulers.weight_decay.val_final": {"type": "float", "default": 0.4},
    }
    found = by_path(build(leaves, train__schedulers__learning_rate__val_base="${eval: 5e-5 * 2}"))
    rate = found["train.schedulers.learning_rate.val_base"]
    assert (rate.default, rate.log) == (5e-4, True)
    assert "launched as text; trial 0 takes 0.0005" in rate.why
    assert found["train.schedulers.weight_decay.val_base"].default == 0.04
    assert "train.schedulers.weight_decay.val_final" not in found


def test_layers_are_kept_where_a_whole_model_is_loaded(build, by_path, why_kept) -> None:
    leaves = {
        "model.enc_layers": {"type": "int", "default": 6, "minimum": 1, "automl_enabled": True},
        "train.optim.lr": {"type": "float", "default": 2e-4, "minimum": 0, "automl_enabled": True},
        "train.pretrained_model_path": {"type": "string", "default": ""},
    }
    assert "model.enc_layers" in by_path(build(leaves))
    loaded = {"train__pretrained_model_path": "/weights/coco.pth"}
    why = "its weights are those of train.pretrained_model_path"
    assert why_kept(build(leaves, **loaded))["model.enc_layers"] == why
    assert "model.enc_layers" in by_path(build(leaves, "model.enc_layers=3..6", **loaded))
