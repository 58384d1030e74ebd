"""What a study reads from an object store, and which content that is: decided when it starts, and kept.

The driver looks, and reads no more than annotations; the nodes bring the rest, and nothing else than was seen.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tao_automl.errors import ConfigError, UsageError
from tao_automl.execution import cache
from tao_automl.execution.cache import Found
from tao_automl.execution.job import Staged
from tao_automl.execution.store import QUICK, Store
from tao_automl.tao import dataset, remote
from tao_automl.tao.datafacts import DataFacts
from tao_automl.tao.dataset import Dataset

IMAGES = ("images", "images.tar.gz")
FILES, COCO = ("images.tar.gz", "annotations.json"), DataFacts("coco")


class Pins:
    """Contents by address: those of an earlier start, and what is there now of all others."""

    def __init__(self, cache_dir: Path, known: Iterable[Staged] = ()) -> None:
        self._cache_dir = cache_dir
        self._known = {item.url: self._placed(item.url, item.kind, item.digest, item.size_bytes) for item in known}
        self._listed: list[Found] = []
        self._store = Store(QUICK)

    def of(self, tree: Any) -> dict[str, Staged]:
        """The contents of all addresses in a spec.

        Raises:
            UsageError: there is nothing at an address, or it is none.
            PlatformError: the store cannot be asked.
        """
        return {url: self._pin(url) for url in remote.addresses(tree)}

    def dataset(self, url: str, files: Collection[str] = FILES, facts: DataFacts = COCO) -> Dataset:
        """A dataset below an address, checked.

        Args:
            files: what a skill needs of it: images, and annotations in the form that `facts` say.

        Raises:
            UsageError: something is missing or cannot be trained on.
            PlatformError: the store cannot be asked.
        """
        url = str(remote.parse(url))
        names = sorted(name for name in files if name not in IMAGES)
        images = next((name for name in IMAGES if f"{url}/{name}" in self._known), None)
        present = None
        if images is None:
            listed = self._list(url)
            images = next((name for name in IMAGES if cache.within(listed, f"{url}/{name}")), None)
            if images is None:
                raise UsageError(f"{url} has no images", tip="put images.tar.gz or images/ there", code="data-missing")
            present = _names(listed, f"{url}/{images}") if images == IMAGES[0] else None
            for name in names:
                if cache.within(listed, f"{url}/{name}") is None:
                    tip = f"name a place with {name}"
                    raise UsageError(f"{url}/{name} is missing", tip=tip, code="data-missing")
        copies = {name: self._here(f"{url}/{name}") for name in names}
        with ExitStack() as named:
            for name, file in copies.items():
                named.enter_context(cache.named(file, f"{url}/{name}"))
            return dataset.stored(url, images, copies, present, facts)

    def _here(self, url: str) -> Path:
        """A file, brought to this machine too."""
        wanted = self._pin(url)
        cache.stage(wanted, lambda _: None, self._store)
        return Path(wanted.path)

    def _pin(self, url: str) -> Staged:
        if url not in self._known:
            inside = (cache.within(listed, url) for listed in self._listed if url.startswith(f"{listed.address}/"))
            found = next((item for item in inside if item), None) or cache.look(self._store, url)
            self._known[url] = self._placed(url, found.kind, found.digest(), found.size_bytes)
        return self._known[url]

    def _list(self, url: str) -> Found:
        found = cache.look(self._store, f"{url}/")
        self._listed.append(found)
        return found

    def _placed(self, url: str, kind: str, digest: str, size_bytes: int) -> Staged:
        return cache.placed(url, kind, digest, size_bytes, self._cache_dir)


def write(pinned: Iterable[Staged], path: Path) -> None:
    """Keep what a study reads; nothing if it reads nothing."""
    items = [dataclasses.asdict(item) for item in pinned]
    if items:
        path.write_text(json.dumps({"schema": 1, "pins": items}, indent=1) + "\n", encoding="utf-8")


def read(path: Path) -> tuple[Staged, ...]:
    """What `write` kept; nothing if there is no file.

    Raises:
        ConfigError: the file is damaged.
    """
    try:
        return tuple(Staged(**item) for item in json.loads(path.read_text(encoding="utf-8"))["pins"])
    except FileNotFoundError:
        return ()
    except (ValueError, KeyError, TypeError):
        tip = "restore it, or remove it: the study then takes what is in the store now"
        raise ConfigError(f"{path} is damaged", tip=tip) from None


def of_job(path: Path) -> tuple[Staged, ...]:
    """What a job that was written to a file reads from an object store."""
    try:
        return tuple(Staged(**item) for item in json.loads(path.read_text(encoding="utf-8")).get("staged", ()))
    except (FileNotFoundError, ValueError):
        return ()


def _names(listed: Found, folder: str) -> frozenset[str]:
    """The names of all objects below a folder, relative to it."""
    key = remote.parse(folder).key + "/"
    return frozenset(item.key.removeprefix(key) for item in listed.objects if item.key.startswith(key))
