"""The random sampler."""

from __future__ import annotations

import pytest
from contracts.sampler_contract import SamplerContract


class TestRandom(SamplerContract):
    @pytest.fixture
    def name(self) -> str:
        return "random"
