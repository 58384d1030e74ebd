"""Whether a launched spec fits its data and itself: everything that can be known before a trainer finds out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tao_automl.errors import UsageError
from tao_automl.tao import keypath
from tao_automl.tao.dataset import Data, Dataset
from tao_automl.tao.facts import Facts


def check(facts: Facts, launched: Mapping[str, Any], data: Data, devices: int) -> None:
    """Check a spec against the data and the skill's rules.

    Args:
        devices: on how many GPUs a step runs.

    Raises:
        UsageError: the first thing that does not fit.
    """
    for dataset in data.val:
        _check_ids(facts, dataset)
    _check_names(facts, data)
    _check_image_ids(data)
    _check_classes(facts, launched, data)
    _check_evaluated(facts, launched, data)
    check_batch(facts.keys.batch_size, launched, data.samples, devices, "of the smaller split")
    check_rules(facts, launched, data)


def check_batch(path: str | None, launched: Mapping[str, Any], samples: int | None, devices: int, which: str) -> None:
    """Refuse a batch that the data cannot fill; `which` says in the error whose images were counted.

    Raises:
        UsageError: batch size times devices is above the number of images.
    """
    batch = keypath.get(launched, path, None) if path else None
    if samples is None or not isinstance(batch, int) or batch * devices <= samples:
        return
    raise UsageError(
        f"{path} {batch} on {devices} GPU(s) is more than the {samples} images {which}",
        tip=f"--set {path}={samples // devices}" if devices <= samples else "take fewer GPUs, or more images",
        code="batch-too-large",
    )


def check_rules(facts: Facts, launched: Mapping[str, Any], data: Data) -> None:
    """Refuse a spec that breaks a rule of the skill. `data.categories` in one is how many the validation data has.

    Raises:
        UsageError: the first rule that does not hold, why it must, and the values.
    """
    categories = {number for item in data.val for number in item.categories}
    known = {"data.categories": len(categories) or None}

    def get(path: str) -> Any:
        return known[path] if path in known else keypath.get(launched, path, None)

    for rule in facts.require:
        if not rule.holds(get):
            raise UsageError(f"{rule.why}: {rule.said(get)}", tip=f"{rule.rule} must hold", code="constraint")


def _check_ids(facts: Facts, dataset: Dataset) -> None:
    """Category ids of validation data count from where the model counts."""
    first, ids = facts.data.first_id, sorted(dataset.categories)
    if first is None or not ids:
        return
    if ids[0] != first:
        raise UsageError(
            f"{dataset.annotations}: category ids begin with {ids[0]}, and this model counts them from {first}",
            tip=f"number the categories again, from {first}, in categories and annotations",
            code="category-ids",
        )
    missing = next((number for number in range(first, first + len(ids)) if number not in dataset.categories), None)
    if missing is not None and not facts.data.gaps:
        raise UsageError(
            f"{dataset.annotations}: category ids have a gap: {missing} is missing below {ids[-1]}",
            tip=f"number the categories again, {first} to {first + len(ids) - 1}",
            code="category-ids",
        )


def _check_names(facts: Facts, data: Data) -> None:
    """A class has one name in all data of a model that knows its classes by id."""
    if facts.keys.num_classes is None:
        return
    named: dict[int, tuple[str, Dataset]] = {}
    for dataset in (*data.train, *data.val):
        for number, name in dataset.categories.items():
            known, where = named.setdefault(number, (name, dataset))
            if known != name:
                raise UsageError(
                    f"category {number} is '{known}' in {where.annotations} and '{name}' in {dataset.annotations}",
                    tip="give the same categories the same ids in all data",
                    code="category-names",
                )


def _check_image_ids(data: Data) -> None:
    """Validation sets are scored as one: there an image id must not stand for two images."""
    seen: dict[int | str, Dataset] = {}
    for dataset in data.val if len(data.val) > 1 else ():
        for number in dataset.image_ids:
            known = seen.setdefault(number, dataset)
            if known is not dataset:
                raise UsageError(
                    f"image id {number} stands in {known.annotations} and in {dataset.annotations}",
                    tip="give the images of all validation data ids of their own",
                    code="image-ids",
                )


def _check_classes(facts: Facts, launched: Mapping[str, Any], data: Data) -> None:
    path = facts.keys.num_classes
    if path is None or not data.category_ids:
        return
    count, highest = keypath.get(launched, path, None), data.category_ids[-1]
    if isinstance(count, int) and count < highest + 1:
        raise UsageError(
            f"{path} is {count}, but the data has category id {highest}: it must be at least {highest + 1}",
            tip=f"--num-classes {highest + 1}, or leave it out",
            code="num-classes",
        )


def _check_evaluated(facts: Facts, launched: Mapping[str, Any], data: Data) -> None:
    """A class that is scored must be one that the data has."""
    path, known = facts.keys.eval_class_ids, data.category_ids
    if path is None or not known:
        return
    asked = keypath.get(launched, path, None)
    unknown = [number for number in asked if number not in known] if isinstance(asked, list) else []
    if unknown:
        raise UsageError(
            f"{path} has {unknown[0]}, which is no category id of the data",
            tip=f"the data has {_listed(known)}; leave it out to score all of them",
            code="eval-class-ids",
        )


def _listed(numbers: tuple[int, ...]) -> str:
    shown = ", ".join(map(str, numbers[:12]))
    return f"{shown} … {numbers[-1]}" if len(numbers) > 12 else shown
