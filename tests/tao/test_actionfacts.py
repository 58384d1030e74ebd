from __future__ import annotations

from pathlib import Path

import pytest

from tao_automl.errors import ConfigError
from tao_automl.tao.actionfacts import ActionFacts, Move, Refusal
from tao_automl.tao.facts import Facts

TOY = Path(__file__).parents[1] / "data" / "skills" / "tao-train-toy" / "automl.yaml"


def written(tmp_path: Path, more: str) -> Path:
    text = "".join(line for line in TOY.read_text().splitlines(keepends=True) if not line.startswith("carry"))
    (tmp_path / "automl.yaml").write_text(text + more)
    return tmp_path / "automl.yaml"


def test_a_key_is_carried_under_its_name_or_another(tmp_path: Path) -> None:
    facts = Facts.load(written(tmp_path, "carry:\n  - model.size\n  - {from: model, to: distill.teacher}\n"))
    assert facts.carry == ("model.size",)
    assert facts.after.moves == (Move("model", "distill.teacher"),)


def test_what_does_not_work_is_read_with_its_conditions(tmp_path: Path) -> None:
    entries = ("{action: build, image: '*-pyt', why: bad}", "{action: build, when: {a.b: INT8}, why: bad, tip: so}")
    text = "refuse:\n" + "".join(f"  - {entry}\n" for entry in entries)
    assert Facts.load(written(tmp_path, text)).after.refusals == (
        Refusal("build", "bad", image="*-pyt"),
        Refusal("build", "bad", "so", when={"a.b": "INT8"}),
    )


def test_a_file_may_say_nothing_of_it(tmp_path: Path) -> None:
    assert Facts.load(written(tmp_path, "")).after == ActionFacts()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("refuse: [{action: build}]\n", r"refuse\[0\]: 'why' is a required property"),
        ("refuse: [{action: build, why: bad, wen: {a: 1}}]\n", "unknown key 'wen'"),
        ("refuse: [{action: build, why: bad, when: {a..b: 1}}]\n", r"refuse\[0\]\.when: 'a\.\.b' is no key path"),
        ("carry: [{from: a.b}]\n", r"carry\[0\]"),
        ("carry: [{from: a..b, to: c}]\n", r"carry\[0\]: 'a\.\.b' is no key path"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=rf"automl\.yaml:\d+: .*{words}"):
        Facts.load(written(tmp_path, text))
