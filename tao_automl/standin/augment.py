"""Other views of training images: turned round, moved, in other colours. One draw an epoch, for all images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tao_automl.standin.network import Floats

SHIFT = 0.1  # of the side, the farthest an image is moved
CONTRAST = 0.3


@dataclass(frozen=True)
class Views:
    """For each image: whether it is turned round, its shift (n, 2) as a share of the side, colours and contrast."""

    flip: NDArray[np.bool_]
    shift: NDArray[np.float64]
    channels: NDArray[np.int64]
    contrast: Floats

    def of(self, chosen: NDArray[np.int64]) -> Views:
        """The views of some images."""
        return Views(self.flip[chosen], self.shift[chosen], self.channels[chosen], self.contrast[chosen])

    def images(self, images: Floats) -> Floats:
        """The views of images (n, side, side, 3); what is moved out at one side comes in at the other, blank."""
        side = images.shape[1]
        result = np.zeros_like(images)
        for number, image in enumerate(images):
            seen = image[:, ::-1] if self.flip[number] else image
            across, down = (round(float(share) * side) for share in self.shift[number])
            to_x, from_x = slice(max(across, 0), side + min(across, 0)), slice(max(-across, 0), side + min(-across, 0))
            to_y, from_y = slice(max(down, 0), side + min(down, 0)), slice(max(-down, 0), side + min(-down, 0))
            result[number, to_y, to_x] = seen[from_y, from_x][..., self.channels[number]] * self.contrast[number]
        return result

    def boxes(self, box: NDArray[np.float64], image: NDArray[np.int64], side: float) -> NDArray[np.float64]:
        """Boxes (n, 4) as centre x, y, width, height of the numbered images, where the views show them."""
        moved: NDArray[np.float64] = box.copy()
        turned = self.flip[image]
        moved[turned, 0] = side - moved[turned, 0]
        moved[:, :2] += self.shift[image] * side
        return moved


def draw(rng: np.random.Generator, count: int, flip: float) -> Views:
    """Views at random; `flip` is the chance of being turned round."""
    channels = np.tile(np.arange(3), (count, 1))
    contrast = (1 + CONTRAST * rng.uniform(-1, 1, count)).astype(np.float32)
    return Views(rng.random(count) < flip, rng.uniform(-SHIFT, SHIFT, (count, 2)), channels, contrast)


def plain(count: int) -> Views:
    """The images as they are."""
    channels = np.tile(np.arange(3), (count, 1))
    return Views(np.zeros(count, bool), np.zeros((count, 2)), channels, np.ones(count, dtype=np.float32))
