"""The random sampler."""

from __future__ import annotations

import pytest

from tests.contracts.sampler_contract import SamplerContract


class TestRandom(SamplerContract):
    @pytest.fixture
    def name(self) -> str:
        return "random"
