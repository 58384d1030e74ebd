"""The TPE sampler."""

from __future__ import annotations

import pytest
from contracts.sampler_contract import SamplerContract


class TestTpe(SamplerContract):
    @pytest.fixture
    def name(self) -> str:
        return "tpe"
