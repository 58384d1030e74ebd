"""Make a detection set of real images: the handwritten digits that scikit-learn ships, strewn over pages.

    python examples/digits.py data/digits
    tao-automl run --model dino --runtime standin --train-data data/digits/train --val-data data/digits/val

Each page is a 96 x 96 grey image with two to four digits in several sizes; the digits of `val` were written
by other people than those of `train`. The annotations are COCO: category ids 1 to 10 for "0" to "9".
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

PAGE = 96  # pixels a side
SIZES = (24, 32, 40)  # pixels a digit
PAGES = {"train": 160, "val": 48}


def page(pool: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> tuple[Image.Image, list[dict[str, Any]]]:
    """One image and its boxes: digits on a 2 x 2 grid of cells, so that none hides another."""
    sheet = rng.normal(24, 8, (PAGE, PAGE)).clip(0, 255)
    boxes = []
    cells = rng.permutation(4)[: rng.integers(2, 5)]
    for cell in cells:
        chosen, size = rng.integers(len(pool)), int(rng.choice(SIZES))
        glyph = Image.fromarray((pool[chosen] * 255 / 16).astype(np.uint8)).resize((size, size), Image.BICUBIC)
        ink = np.asarray(glyph, dtype=float)
        corner = np.array([cell % 2, cell // 2]) * PAGE // 2 + rng.integers(0, PAGE // 2 - size + 1, 2)
        x, y = (int(value) for value in corner)
        sheet[y : y + size, x : x + size] = np.maximum(sheet[y : y + size, x : x + size], ink)
        rows, columns = np.nonzero(ink > 40)
        left, top = x + int(columns.min()), y + int(rows.min())
        width, height = int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1
        boxes.append({"category_id": int(labels[chosen]) + 1, "bbox": [left, top, width, height]})
    return Image.fromarray(sheet.astype(np.uint8)).convert("RGB"), boxes


def write_split(folder: Path, pool: np.ndarray, labels: np.ndarray, pages: int, seed: int) -> None:
    """Write `images/` and `annotations.json` of one split."""
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number in range(1, pages + 1):
        image, boxes = page(pool, labels, rng)
        name = f"page_{number:04d}.png"
        image.save(folder / "images" / name)
        images.append({"id": number, "file_name": name, "width": PAGE, "height": PAGE})
        for box in boxes:
            area = box["bbox"][2] * box["bbox"][3]
            annotations.append({"id": len(annotations) + 1, "image_id": number, "area": area, "iscrowd": 0, **box})
    categories = [{"id": digit + 1, "name": str(digit)} for digit in range(10)]
    document = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "annotations.json").write_text(json.dumps(document), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="where train/ and val/ go")
    folder = parser.parse_args().folder
    digits = load_digits()
    cut = 1400  # the file is sorted by writer
    splits = {"train": slice(None, cut), "val": slice(cut, None)}
    for seed, (name, part) in enumerate(splits.items()):
        write_split(folder / name, digits.images[part], digits.target[part], PAGES[name], seed)
    print(f"{folder}: {PAGES['train']} training and {PAGES['val']} validation pages")


if __name__ == "__main__":
    main()
