"""From a space to its cube."""

from __future__ import annotations

from tao_automl.search.surrogate.ask import cube_of
from tests.contracts.sampler_contract import contract_space


def test_the_centre_of_the_cube_is_the_launched_config() -> None:
    space = contract_space()
    cube = cube_of(space)
    centre = space.centre()
    assert {name: code for name, code in cube.params(cube.centre()).items() if name in centre}.keys() == centre.keys()
    assert space.decode(space.nearest(cube.params(cube.centre()))).keys() == space.decode(centre).keys()


def test_roles_say_which_axes_take_memory() -> None:
    growing = {axis.name.split("@")[0] for axis in cube_of(contract_space()).axes if axis.grows}
    assert growing == {"batch_size", "num_queries", "crop_max"}


def test_a_point_that_breaks_a_rule_is_moved_to_what_a_trial_would_get() -> None:
    space = contract_space()
    params = {**space.centre(), "num_queries": 100, "topk": 900}
    assert space.nearest(params)["topk"] <= 100
    assert "momentum" not in " ".join(space.nearest(params))
