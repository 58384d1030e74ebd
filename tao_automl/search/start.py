"""What a new study begins with beside the centre of its space."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tao_automl.search.attributes import POINTS, WARM
from tao_automl.search.transfer import Carried


@dataclass(frozen=True)
class Start:
    """`points` are tried in this order, after the centre: `params`, and the `source` of each, which is `--point` or a
    trial of an earlier study. `carried` is what earlier studies say.
    """

    points: tuple[Mapping[str, Any], ...] = ()
    carried: tuple[Carried, ...] = ()

    @property
    def attributes(self) -> dict[str, Any]:
        """What is kept with the study."""
        warm = [dict(entry) for item in self.carried for entry in item.entries]
        listed = {POINTS: [dict(point) for point in self.points], WARM: warm}
        return {name: entries for name, entries in listed.items() if entries}
