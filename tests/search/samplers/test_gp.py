"""Optuna's GPSampler behind the torch extra."""

from __future__ import annotations

import importlib.util

import pytest

from tao_automl.errors import UsageError
from tao_automl.search import algorithms
from tests.contracts.sampler_contract import contract_space


@pytest.mark.skipif(importlib.util.find_spec("torch") is not None, reason="torch is installed")
def test_without_torch_one_sentence_says_what_to_install():
    with pytest.raises(UsageError, match="needs torch") as raised:
        algorithms.sampler("gp", contract_space(), 0, 0)
    assert "tao-automl[torch]" in raised.value.tip
