"""A synthetic detection set: coloured shapes on textured ground, as COCO or ODVG files. Same seed, same bytes."""

from __future__ import annotations

import colorsys
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

SIDE = 96  # pixels
SHAPES = ("circle", "square", "triangle", "cross")  # category ids from 1
SIZES = (22, 46)  # pixels across
MOST = 4  # shapes an image
HUE_SPREAD = 0.09  # of the colour circle
OVERLAP = 0.25  # largest IoU of two shapes' boxes
DEFAULT_SEED, DEFAULT_TRAIN, DEFAULT_VAL = 7, 256, 64

Box = tuple[float, float, float, float]
Points = list[tuple[float, float]]


def _corners(shape: str, centre: tuple[float, float], radius: float, angle: float) -> Points:
    """Corner points of a shape, turned by `angle` (radians)."""
    if shape == "circle":
        turns = np.linspace(0, 2 * math.pi, 24, endpoint=False)
        unit = [(math.cos(turn), math.sin(turn)) for turn in turns]
    elif shape == "square":
        unit = [(-0.8, -0.8), (0.8, -0.8), (0.8, 0.8), (-0.8, 0.8)]
    elif shape == "triangle":
        unit = [(0.0, -1.0), (0.95, 0.8), (-0.95, 0.8)]
    else:
        a, b = 0.32, 1.0
        unit = [(-a, -b), (a, -b), (a, -a), (b, -a), (b, a), (a, a), (a, b), (-a, b), (-a, a), (-b, a)]
        unit += [(-b, -a), (-a, -a)]
    cos, sin = math.cos(angle), math.sin(angle)
    return [(centre[0] + radius * (x * cos - y * sin), centre[1] + radius * (x * sin + y * cos)) for x, y in unit]


def _background(rng: np.random.Generator) -> Image.Image:
    """Soft blotches with stripes and grain."""
    grey = rng.uniform(40, 215, (5, 5, 1)) + rng.uniform(-25, 25, (5, 5, 3))
    ground = Image.fromarray(grey.clip(0, 255).astype(np.uint8)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(ground)
    for _ in range(int(rng.integers(1, 4))):
        line = [int(value) for value in rng.integers(0, SIDE, 4)]
        draw.line(line, fill=_any_colour(rng), width=int(rng.integers(1, 4)))
    return ground


def _colour(rng: np.random.Generator, category: int) -> tuple[int, int, int]:
    """A colour that often, but not always, tells the shape: hues of neighbours overlap."""
    hue = (category / len(SHAPES) + rng.normal(0, HUE_SPREAD)) % 1.0
    red, green, blue = colorsys.hsv_to_rgb(hue, rng.uniform(0.35, 1.0), rng.uniform(0.35, 1.0))
    return int(red * 255), int(green * 255), int(blue * 255)


def _any_colour(rng: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in rng.integers(0, 256, 3))
    return red, green, blue


def _iou(one: Box, other: Box) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return both / (sum(areas) - both)


def draw_image(rng: np.random.Generator) -> tuple[Image.Image, list[tuple[int, Box, Points]]]:
    """One image and the (category id from 1, corner box, outline) of its shapes."""
    image = _background(rng)
    draw = ImageDraw.Draw(image)
    placed: list[tuple[int, Box, Points]] = []
    for _ in range(int(rng.integers(1, MOST + 1))):
        category = int(rng.integers(1, len(SHAPES) + 1))
        radius = float(rng.uniform(*SIZES)) / 2
        centre = (float(rng.uniform(radius, SIDE - radius)), float(rng.uniform(radius, SIDE - radius)))
        angle = float(rng.uniform(-0.35, 0.35))
        corners = _corners(SHAPES[category - 1], centre, radius, angle)
        xs, ys = [x for x, _ in corners], [y for _, y in corners]
        box = (max(min(xs), 0.0), max(min(ys), 0.0), min(max(xs), SIDE - 1.0), min(max(ys), SIDE - 1.0))
        if any(_iou(box, other) > OVERLAP for _, other, _ in placed):
            continue
        draw.polygon(corners, fill=_colour(rng, category), outline=_any_colour(rng))
        placed.append((category, box, corners))
    grain = rng.normal(0, rng.uniform(3, 12), (SIDE, SIDE, 3))
    noisy = (np.asarray(image, dtype=np.float64) + grain).clip(0, 255).astype(np.uint8)
    return Image.fromarray(noisy), placed


def write_split(folder: Path, count: int, rng: np.random.Generator, odvg: bool = False) -> None:
    """Write `images/`, `annotations.json` and `label_map.txt` with `count` images.

    With `odvg` the category ids are counted from 0, shapes have outlines, and the same is written as
    `annotations_odvg.jsonl` with its `annotations_odvg_labelmap.json`; `inference.jsonl` has a caption for each image.
    """
    (folder / "images").mkdir(parents=True, exist_ok=True)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    first = 0 if odvg else 1
    for number in range(1, count + 1):
        image, shapes = draw_image(rng)
        name = f"{number:05d}.png"
        image.save(folder / "images" / name)
        images.append({"id": number, "file_name": name, "width": SIDE, "height": SIDE})
        for category, (left, top, right, bottom), outline in shapes:
            box = [round(value, 2) for value in (left, top, right - left, bottom - top)]
            annotation = {"id": len(annotations) + 1, "image_id": number, "category_id": category - 1 + first}
            annotations.append({**annotation, "bbox": box, "area": round(box[2] * box[3], 2), "iscrowd": 0})
            if odvg:
                annotations[-1]["segmentation"] = [[round(value, 2) for point in outline for value in point]]
    categories = [{"id": number, "name": name} for number, name in enumerate(SHAPES, start=first)]
    document = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "annotations.json").write_text(json.dumps(document), encoding="utf-8")
    (folder / "label_map.txt").write_text("".join(f"{name}\n" for name in SHAPES), encoding="utf-8")
    if odvg:
        _write_odvg(folder, document)


def _write_odvg(folder: Path, document: dict[str, Any]) -> None:
    lines, captions = [], []
    for number, image in enumerate(document["images"]):
        caption = {"file_name": image["file_name"], "caption": SHAPES[number % len(SHAPES)]}
        captions.append(json.dumps(caption) + "\n")
        instances = []
        for found in document["annotations"]:
            if found["image_id"] == image["id"]:
                left, top, width, height = found["bbox"]
                box = [left, top, round(left + width, 2), round(top + height, 2)]
                label = found["category_id"]
                instances.append(
                    {"bbox": box, "label": label, "category": SHAPES[label], "mask": found["segmentation"]}
                )
        size = {key: image[key] for key in ("file_name", "height", "width")}
        lines.append(json.dumps({**size, "detection": {"instances": instances}}) + "\n")
    (folder / "annotations_odvg.jsonl").write_text("".join(lines), encoding="utf-8")
    (folder / "inference.jsonl").write_text("".join(captions), encoding="utf-8")
    labels = {str(number): name for number, name in enumerate(SHAPES)}
    (folder / "annotations_odvg_labelmap.json").write_text(json.dumps(labels), encoding="utf-8")


def write(
    folder: Path, seed: int = DEFAULT_SEED, train: int = DEFAULT_TRAIN, val: int = DEFAULT_VAL, odvg: bool = False
) -> None:
    """Write `train/` and `val/`; the two splits have streams of their own, so a size change moves neither."""
    write_split(folder / "train", train, np.random.default_rng((seed, 0)), odvg)
    write_split(folder / "val", val, np.random.default_rng((seed, 1)), odvg)
