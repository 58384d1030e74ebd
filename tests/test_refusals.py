"""What a skill knows not to work."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tao_automl import refusals
from tao_automl.errors import UsageError
from tao_automl.layout import skills_dir
from tao_automl.tao import keypath, skill
from tao_automl.tao.actionfacts import ActionFacts, Refusal
from tests.fakes import chain

KINDS = {
    "always": Refusal("count", "it cannot count", "use your fingers"),
    "image": Refusal("score", "no scores there", image="*:1-pyt"),
    "values": Refusal("build", "no INT8", when={"build.data_type": "INT8", "build.batch": "> 4"}),
    "unless": Refusal("shrink", "only small ones", unless={"model.size": "small*"}),
}


def check(name: str, image: str | None = None, **spec: dict[str, object]) -> None:
    known = chain.made()
    known = replace(known, facts=replace(known.facts, after=ActionFacts(refusals=tuple(KINDS.values()))))
    refusals.check(known, known.actions[name], image, spec)


def test_the_reason_and_what_to_do_instead_are_said() -> None:
    with pytest.raises(UsageError, match="count is refused: it cannot count") as raised:
        check("count")
    assert raised.value.tip == "use your fingers"


def test_an_image_may_be_the_reason() -> None:
    with pytest.raises(UsageError, match="no scores there"):
        check("score", chain.TRAINS)
    check("score", chain.DEPLOYS)
    check("score", None)


def test_values_may_be_the_reason_all_together() -> None:
    with pytest.raises(UsageError, match="no INT8"):
        check("build", build={"data_type": "INT8", "batch": 8})
    check("build", build={"data_type": "INT8", "batch": 4})
    check("build", build={"data_type": "FP16", "batch": 8})
    check("build")


def test_values_may_be_what_is_needed() -> None:
    check("shrink", model={"size": "small_12"})
    for spec in ({}, {"model": {"size": "large"}}):
        with pytest.raises(UsageError, match="only small ones"):
            check("shrink", **spec)


def test_another_action_is_not_meant() -> None:
    check("export", chain.TRAINS)
    check("deploy_score", chain.TRAINS)


@pytest.mark.parametrize("name", ["tao-train-grounding-dino", "tao-train-mask-grounding-dino"])
def test_int8_engines_of_the_models_that_read_text_are_refused(name: str) -> None:
    known = skill.load(skills_dir() / name)
    action, template = known.actions["gen_trt_engine"], known.template("gen_trt_engine")
    refusals.check(known, action, None, template)
    asked = keypath.assign(template, "gen_trt_engine.tensorrt.data_type", "INT8")
    with pytest.raises(UsageError, match="there are no INT8 engines of this model"):
        refusals.check(known, action, None, asked)
