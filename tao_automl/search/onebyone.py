"""Samplers that give one parameter after the other, as a space asks for them.

Optuna would rather have all of them at once, before the space is walked; but then the range of one could not depend on
the value of another.
"""

from __future__ import annotations

from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial


class OneByOne(BaseSampler):
    """Nothing is sampled together: everything comes from `sample_independent`."""

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:  # noqa: ARG002
        """No parameter; called once, when a trial begins."""
        return {}

    def sample_relative(
        self,
        study: Study,  # noqa: ARG002
        trial: FrozenTrial,  # noqa: ARG002
        search_space: dict[str, BaseDistribution],  # noqa: ARG002
    ) -> dict[str, Any]:
        """No value."""
        return {}
