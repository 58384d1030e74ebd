"""The contracts of samplers and pruners, over every file of the two folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from tao_automl.errors import UsageError
from tao_automl.search import algorithms, pruners, samplers
from tests.contracts.pruner_contract import PrunerContract
from tests.contracts.sampler_contract import SamplerContract


class TestSamplers(SamplerContract):
    # NSGA-II is made for several objectives; samplers/test_nsga2.py holds it to the contract.
    @pytest.fixture(params=[name for name in algorithms.sampler_names() if name != "nsga2"])
    def name(self, request: pytest.FixtureRequest) -> str:
        if request.param == "gp":
            pytest.importorskip("torch")
        return str(request.param)


class TestPruners(PrunerContract):
    @pytest.fixture(params=algorithms.pruner_names())
    def name(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest.fixture
    def prunes(self, name: str) -> bool:
        return name != "none"


@pytest.mark.parametrize(
    ("folder", "names"), [(samplers, algorithms.sampler_names()), (pruners, algorithms.pruner_names())]
)
def test_the_files_of_a_folder_are_its_names(folder, names):
    files = {path.stem for path in Path(folder.__path__[0]).glob("*.py")} - {"__init__"}
    assert set(names) == files


def test_a_misspelt_name_gets_near_matches():
    with pytest.raises(UsageError) as raised:
        algorithms.check("randm", "median")
    assert "'random'" in raised.value.tip


def test_each_trial_has_numbers_of_its_own():
    streams = {algorithms.stream(seed, number) for seed in range(5) for number in range(50)}
    assert len(streams) == 250
    assert algorithms.stream(1, 2) == algorithms.stream(1, 2)
