"""A dataset of a form that is not looked into: its files must be there."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tao_automl.errors import UsageError
from tao_automl.tao.dataset import images
from tao_automl.tao.dataset.contents import Dataset


def read(folder: Path, image: str | None, files: Iterable[str]) -> Dataset:
    """Check that the parts of a dataset are there. Its images, if it has none of its own, are the folder itself.

    Raises:
        UsageError: a part is missing, or an archive cannot be read.
    """
    for name in files:
        path = images.find(folder, name) if name.endswith(images.ARCHIVES) else folder / name
        if not path.exists():
            raise UsageError(f"{path} is missing", tip=f"put {name} there, or --set its key", code="data-missing")
        if path.is_file() and name.endswith(images.ARCHIVES):
            images.check_archive(path)
    return Dataset(
        folder=folder,
        images=images.find(folder, image) if image else folder,
        annotations=None,
        image_count=None,
        annotation_count=0,
        categories={},
    )
