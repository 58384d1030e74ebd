"""The TPE sampler."""

from __future__ import annotations

import pytest

from tests.contracts.sampler_contract import SamplerContract


class TestTpe(SamplerContract):
    @pytest.fixture
    def name(self) -> str:
        return "tpe"
