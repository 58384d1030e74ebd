"""The median pruner."""

from __future__ import annotations

import pytest

from tests.contracts.pruner_contract import PrunerContract


class TestMedian(PrunerContract):
    @pytest.fixture
    def name(self) -> str:
        return "median"

    @pytest.fixture
    def prunes(self) -> bool:
        return True
