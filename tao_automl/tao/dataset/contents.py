"""What a checked dataset is, and the datasets of a study together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path


@dataclass(frozen=True)
class Dataset:
    """A checked dataset. `images` is a folder or an archive; `categories` are the names by id.

    `image_count` is None if nobody has looked into it. With a `url` it lies in an object store: `folder` and
    `images` are relative to that, `annotations` is a copy.
    """

    folder: Path
    images: Path
    annotations: Path | None
    image_count: int | None
    annotation_count: int
    categories: Mapping[int, str]
    url: str | None = None
    image_ids: frozenset[int | str] = field(default=frozenset(), compare=False, repr=False)

    @property
    def archive(self) -> Path | None:
        """The archive that has to be unpacked on this machine."""
        return None if self.url is not None or self.images.is_dir() else self.images


@dataclass(frozen=True)
class Data:
    """The checked data of a study. Empty where it is named by `--set` instead of a directory."""

    train: tuple[Dataset, ...] = ()
    val: tuple[Dataset, ...] = ()
    inference: tuple[Dataset, ...] = ()
    calibration: tuple[Dataset, ...] = ()

    def of(self, source: str) -> tuple[Dataset, ...]:
        """The datasets of one of TAO's words. Nothing else said, engines calibrate on what was trained on, and
        inference runs on what was validated on.
        """
        return {
            "train_datasets": self.train,
            "eval_dataset": self.val,
            "calibration_dataset": self.calibration or self.train,
            "inference_dataset": self.inference or self.val,
        }.get(source, ())

    def with_more(self, other: Data) -> Data:
        """What is trained and validated on, here and there."""
        return replace(self, train=(*self.train, *other.train), val=(*self.val, *other.val))

    @property
    def all(self) -> tuple[Dataset, ...]:
        return (*self.train, *self.val, *self.inference, *self.calibration)

    @property
    def samples(self) -> int | None:
        """Images of the smaller split, which bounds batch size times GPUs."""
        counts = [images(split) for split in (self.train, self.val)]
        return min((count for count in counts if count is not None), default=None)

    @property
    def category_ids(self) -> tuple[int, ...]:
        return tuple(sorted({number for item in (*self.train, *self.val) for number in item.categories}))


def images(split: tuple[Dataset, ...]) -> int | None:
    """How many images some datasets have together; None if nobody knows."""
    counts = [item.image_count for item in split]
    known = [count for count in counts if count is not None]
    return sum(known) if split and len(known) == len(counts) else None
