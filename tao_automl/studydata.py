"""The data of a study: what a user names, or the stand-in's own where nobody names any."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tao_automl import launch
from tao_automl.config import Settings
from tao_automl.errors import AutoMLError
from tao_automl.execution.job import Staged
from tao_automl.execution.runtimes import standin
from tao_automl.layout import StudiesPaths, cache_dir
from tao_automl.pins import Pins
from tao_automl.tao import dataset, sources
from tao_automl.tao.dataset import Data, Dataset
from tao_automl.tao.skill import Skill


@contextmanager
def opened(settings: Settings, chosen: Skill, pins: Pins, *, embedded: bool) -> Iterator[Data]:
    """The data of a new study, checked.

    What the stand-in makes for it is removed again if what it was made for is refused.

    Raises:
        AutoMLError: it cannot be trained on, cannot be made, or the store cannot be asked.
    """
    if embedded:
        with _sample(settings, chosen) as data:
            yield data
    else:
        yield _named(settings, chosen, pins)


def by_key(settings: Settings, chosen: Skill) -> Data:
    """The data that a user names by its keys (`--set`), as far as it is COCO and lies on this machine.

    A path that is not here may be one of a container or of another node: that is left to the trainer.

    Raises:
        UsageError: it cannot be trained on.
    """
    facts, user = chosen.facts.data, launch.named_by_key(chosen, settings["set"])
    found: dict[str, list[Dataset]] = {"train_datasets": [], "eval_dataset": []}
    for source in sources.of(chosen.actions["train"]) if facts.format in ("coco", "odvg") else ():
        for images, file in sources.pairs(source, user):
            if source.source in found and Path(images).exists() and Path(file).is_file():
                found[source.source].append(dataset.pair(Path(images), Path(file), facts))
    return Data(tuple(found["train_datasets"]), tuple(found["eval_dataset"]))


def pins_of(settings: Settings, pinned: Iterable[Staged]) -> Pins:
    """What is known of the contents of object stores; `pinned`: what a study that exists reads from one."""
    return Pins(cache_dir(settings["cache_dir"]), pinned)


def _named(settings: Settings, chosen: Skill, pins: Pins) -> Data:
    return Data(
        _read(chosen, "train_datasets", settings["train_data"], pins),
        _read(chosen, "eval_dataset", settings["val_data"], pins),
    )


def _read(chosen: Skill, source: str, places: Iterable[Path | str], pins: Pins | None = None) -> tuple[Dataset, ...]:
    """Datasets in the form in which training takes them: folders, and with `pins` addresses too."""
    files, facts = sources.files(chosen.actions["train"], source), chosen.facts.data
    return tuple(
        pins.dataset(place, files, facts)
        if pins is not None and isinstance(place, str)
        else dataset.read(place, files, facts)
        for place in places
    )


@contextmanager
def _sample(settings: Settings, chosen: Skill) -> Iterator[Data]:
    form = chosen.facts.data.format
    folder = StudiesPaths(settings["studies_dir"]).sample_data(form)
    made = standin.sample_data(folder, form)
    try:
        yield Data(_read(chosen, "train_datasets", [folder / "train"]), _read(chosen, "eval_dataset", [folder / "val"]))
    except AutoMLError:
        for path in made:
            shutil.rmtree(path) if path == folder else path.rmdir()
        raise
