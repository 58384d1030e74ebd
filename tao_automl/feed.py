"""The data that a downstream action reads: what of it stands in the spec, and what is written beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tao_automl import launch
from tao_automl.layout import StudiesPaths
from tao_automl.pins import Pins
from tao_automl.tao import dataset as datasets
from tao_automl.tao import fit, keypath, sources
from tao_automl.tao.dataset import Data, Dataset
from tao_automl.tao.dataset.contents import images
from tao_automl.tao.dataset.images import ARCHIVES
from tao_automl.tao.skill import Action, DataSource, Skill

LOOKED_AT = ("inference_dataset", "calibration_dataset")  # of these only the images must be there
CLASS_NAMES = ".txt"  # the suffix of a class map, whose content the categories of a dataset give
FIELDS = {
    "train_datasets": "train",
    "eval_dataset": "val",
    "inference_dataset": "inference",
    "calibration_dataset": "calibration",
}


@dataclass(frozen=True)
class Feed:
    """`values` by key path; `used`, whose archives must be unpacked before the start; `files` to write by then."""

    values: Mapping[str, Any]
    used: tuple[Dataset, ...] = ()
    files: Mapping[Path, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Place:
    """Where the studies are, and the folder of the run."""

    studies: StudiesPaths
    folder: Path


def given(skill: Skill, action: Action, data: Data, asked: Mapping[str, Sequence[Path | str]], pins: Pins) -> Data:
    """The study's data, and in its place what is named for this action, by TAO's word.

    Raises:
        UsageError: a dataset cannot be read.
        PlatformError: it lies in an object store that cannot be asked.
    """
    for word, folders in asked.items():
        files = sources.files(action, word)
        if word in LOOKED_AT:
            files = frozenset(name for name in files if name.endswith(ARCHIVES))
        facts = skill.facts.data
        read = tuple(
            pins.dataset(place, files, facts) if isinstance(place, str) else datasets.read(place, files, facts)
            for place in folders
        )
        data = replace(data, **{FIELDS[word]: read})
    return data


def values(skill: Skill, action: Action, data: Data, place: Place, user: Mapping[str, Any]) -> Feed:
    """What the spec of an action holds for its data, but for what the user sets.

    Class names that a dataset does not bring are written into the folder of the run. What it does not bring and
    the action does not need is left out.

    Raises:
        UsageError: a file that the action needs is missing.
    """
    filler = _Filler(skill, action, place)
    found: dict[str, Any] = {}
    used: list[Dataset] = []
    for source in sources.of(action):
        wanted = sources.left(source, user)
        named = data.of(source.source)[: None if source.many else 1]
        if wanted is None or not named:
            continue
        parts = [filler.parts(wanted, item) for item in named]
        shaped = [part[""] if set(part) == {""} else part for part in parts if part]
        if shaped:
            found[source.key] = shaped if source.as_list else shaped[0]
            used += [item for item in named if item not in used]
    found.update(_captions(skill, action, data, {**keypath.flatten(found), **user}))
    return Feed(found, tuple(used), filler.written)


def check(skill: Skill, action: Action, full: Mapping[str, Any], data: Data) -> None:
    """Refuse a spec whose batch is larger than the data it reads, or that breaks a rule of the skill.

    Raises:
        UsageError: it does.
    """
    fit.check_rules(skill.facts, full, data)
    words = {source.source for source in action.data_sources}
    if action.deploy:
        return
    path, devices = f"{action.task}.batch_size", keypath.get(full, f"{action.task}.num_gpus", 1)
    own = keypath.get(full, path, None)
    path = path if isinstance(own, int) and own > 0 else skill.facts.keys.batch_size or path
    counts = [images(data.of(word)) for word in ("eval_dataset", "inference_dataset") if word in words]
    samples = min((count for count in counts if count is not None), default=None)
    fit.check_batch(path, full, samples, devices, f"that {action.name} reads")


@dataclass(frozen=True)
class _Filler:
    """Finds the parts of datasets for one action. `written` are the files that have to be written for it."""

    skill: Skill
    action: Action
    place: Place
    written: dict[Path, str] = field(default_factory=dict)

    def parts(self, source: DataSource, item: Dataset) -> dict[str, str]:
        """The paths by part; what is not there and not needed is left out."""
        found = {part: self._path(source, part, name, item) for part, name in source.files.items()}
        return {part: path for part, path in found.items() if path is not None}

    def _path(self, source: DataSource, part: str, name: str, item: Dataset) -> str | None:
        there = name.endswith(ARCHIVES) or (item.url is None and (item.folder / name).exists())
        if not there and name.endswith(CLASS_NAMES) and item.categories and min(item.categories) > 0:
            path = self.place.folder / name
            self.written[path] = class_names(item.categories)
            return str(path)
        if there or self._needs(source, part):
            return str(launch.file_of(item, name, self.place.studies))
        return None

    def _needs(self, source: DataSource, part: str) -> bool:
        """Whether the action needs a part. Where `inputs` says nothing of a source, it needs all of it."""
        if source.key + "." + part == self.skill.facts.data.captions:
            return False
        about = {key: entry for key, entry in self.action.inputs.items() if launch.is_below(key, source.key)}
        if not about:
            return not source.optional
        ends = (f"{source.key}.{part}", f"{source.key}[0].{part}") if part else (source.key, f"{source.key}[0]")
        return any(key in about and not about[key].optional for key in ends)


def class_names(categories: Mapping[int, str]) -> str:
    """A class map: one name a line, in the order of the ids from 1. An id without a category has its number."""
    return "".join(f"{categories.get(number, number)}\n" for number in range(1, max(categories) + 1))


def _captions(skill: Skill, action: Action, data: Data, user: Mapping[str, Any]) -> dict[str, list[str]]:
    """What to look for, where nothing else is said: the categories of the validation data."""
    key = skill.facts.data.captions
    names = list(dict.fromkeys(name for item in data.val for name in item.categories.values()))
    return {key: names} if key and key in action.inputs and key not in user and names else {}
