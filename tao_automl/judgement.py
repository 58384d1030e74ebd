"""What all trials of a study say together: which parameters mattered, and what the best config is really worth."""

from __future__ import annotations

from tao_automl.report import Where
from tao_automl.search import importance, optimism
from tao_automl.search import study as storage
from tao_automl.search.importance import Importances
from tao_automl.search.optimism import Estimate


def estimate(where: Where, name: str) -> Estimate | None:
    """What the best config is worth when it is trained again; None where that cannot be said.

    Raises:
        StudyError, UsageError: as `report.study`.
    """
    loaded = storage.load(where.open(), name)
    return optimism.estimate(storage.trials(loaded), maximize=storage.maximizes(loaded))


def importances(where: Where, name: str, method: str = "ped-anova") -> Importances:
    """Which of the searched parameters mattered for the study's metric.

    Raises:
        StudyError, UsageError: as `report.study`; no such method.
        PlatformError: the method needs a package that is not installed.
    """
    loaded = storage.load(where.open(), name)
    return importance.of(storage.trials(loaded), maximize=storage.maximizes(loaded), method=method)
