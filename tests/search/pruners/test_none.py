"""The pruner that stops nothing."""

from __future__ import annotations

import pytest

from tests.contracts.pruner_contract import PrunerContract


class TestNone(PrunerContract):
    @pytest.fixture
    def name(self) -> str:
        return "none"

    @pytest.fixture
    def prunes(self) -> bool:
        return False
