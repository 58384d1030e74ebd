"""Metrics of a trainer that writes no status file: one JSON file at its end."""

from __future__ import annotations

import json
from pathlib import Path

from tao_automl.tao.status import Progress, kpi_of


def read(path: Path, epochs: int) -> Progress | None:
    """What the file says of a training: that it has ended, and the metrics of its last epoch.

    None if there is no such file, or no JSON object in it. Metrics in groups count by their own name.
    """
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(data, dict):
        return None
    groups = [item for item in data.values() if isinstance(item, dict)]
    kpi = {name: value for group in (*groups, data) for name, value in kpi_of(group).items() if value is not None}
    return Progress(points={epochs - 1: kpi}, last_epoch=epochs - 1, max_epoch=epochs - 1, finished=True, kpi=kpi)
