"""The configs that a study tries first: those that the user names, and the best of earlier studies.

Earlier studies are read once, when a study is planned: what they said is kept with the new study.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tao_automl.config import Settings
from tao_automl.errors import StudyError, UsageError
from tao_automl.layout import StudiesPaths
from tao_automl.search import attributes, points, transfer
from tao_automl.search import study as studies
from tao_automl.search.space import SearchSpace
from tao_automl.search.start import Start
from tao_automl.search.transfer import Carried, Earlier
from tao_automl.tao import spec


def start(settings: Settings, model: str, space: SearchSpace, epochs: int) -> Start:
    """What a new study begins with.

    Raises:
        UsageError: a point that the space does not hold, or more points than there are trials.
        StudyError: an earlier study that is not there, is of another model, or has no finished trial.
    """
    if not space.parameters and (settings["point"] or settings["warm_start"]):
        flag = "--point" if settings["point"] else "--warm-start"
        raise UsageError(f"{flag} is given, but nothing is searched", "leave it out", "nothing-searched")
    centre, trials = space.centre(), int(settings["trials"])
    named = points.distinct([_named(space, point) for point in settings["point"]], [centre])
    if len(named) >= trials:
        raise UsageError(
            f"a budget of {trials} is too small for {len(named)} named points: trial 0 is the model's defaults",
            f"--trials {len(named) + 1} or more",
            "too-few-trials",
        )
    carried = tuple(_carried(text, settings, model, space, epochs) for text in settings["warm_start"])
    best = transfer.best(carried, [centre, *(point["params"] for point in named)], trials) if carried else []
    tried = [{name: entry[name] for name in ("params", "source")} for entry in best[: trials - 1 - len(named)]]
    return Start((*named, *tried), carried)


def _named(space: SearchSpace, point: Mapping[str, Any]) -> dict[str, Any]:
    # A value of a flag is text, one of a file is not.
    values = {path: spec.parse_value(item) if isinstance(item, str) else item for path, item in point.items()}
    return {"params": points.encode(space, values), "source": "--point"}


def _carried(text: str, settings: Settings, model: str, space: SearchSpace, epochs: int) -> Carried:
    url, name = _place(text, settings)
    study = studies.load(studies.open_readonly(url), name)
    other = study.user_attrs.get(attributes.MODEL)
    if other != model:
        raise StudyError(
            f"study '{name}' is of the model {other}, not {model}: its parameters mean something else here",
            "name a study of the same model",
            "other-model",
        )
    if len(study.directions) > 1:
        raise StudyError(f"study '{name}' has several objectives, so its trials have no one order", code="no-order")
    earlier = Earlier(
        name,
        str(study.user_attrs.get(attributes.METRIC)),
        study.direction,
        study.user_attrs.get(attributes.EPOCHS),
        studies.trials(study),
    )
    if not earlier.finished:
        raise StudyError(
            f"study '{name}' has no finished trial to learn from", "name another study, or leave it out", "no-trials"
        )
    return transfer.carry(earlier, space, epochs)


def _place(text: str, settings: Settings) -> tuple[str, str]:
    """Storage and name: `NAME` of this storage, `FOLDER/NAME` of a studies folder, `FILE.db#NAME`, `URL#NAME`."""
    where, mark, name = text.rpartition("#")
    if mark:
        return (where if "://" in where else f"sqlite:///{Path(where).expanduser().absolute()}"), name
    if "/" in text:
        folder = Path(text).expanduser().absolute()
        return StudiesPaths(folder.parent).storage_url, folder.name
    return settings["storage"] or StudiesPaths(settings["studies_dir"]).storage_url, text
