"""`tao-automl space`: what is searched, what is kept, where each range is from."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from tao_automl.search import attributes
from tao_automl.search import study as studies
from tests.fakes import finished


def rows(out: str) -> dict[str, list[str]]:
    """The lines of a table, by path."""
    split = [line.split() for line in out.splitlines() if not line.startswith(" ")]
    return {words[0]: words[1:] for words in split if words and "." in words[0]}


def test_each_parameter_has_type_range_scale_default_and_origin(call) -> None:
    said = call("space", "dino")
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines()[0] == "dino train: 8 parameters searched, 9 kept at their default"
    shown = rows(said.out)
    assert shown["train.optim.lr"][:4] == ["float", "1e-05..0.001", "log", "0.0002"]
    assert shown["model.num_queries"][:3] == ["int", "100..900:50", "300"]
    assert shown["dataset.batch_size"][:3] == ["int", "1,2,4,8,16", "4"]
    assert "  model.num_select <= model.num_queries" in said.out.splitlines()


def test_what_is_kept_says_why(call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    kept = call("space", "dino").out.split("Kept at their default")[1]
    assert " ".join(rows(kept)["train.optim.momentum"]) == "0.9 no effect: train.optim.optimizer is AdamW"


def test_as_json_it_has_the_documented_form(call) -> None:
    said = call("space", "dino", "--json")
    document = said.document
    assert said.err == ""
    assert (document["schema"], document["model"]) == (1, "dino")
    lr = next(item for item in document["searched"] if item["path"] == "train.optim.lr")
    documented = ("type", "low", "high", "log", "step", "choices", "default", "origin")
    assert [lr[name] for name in documented] == ["float", 1e-5, 1e-3, True, None, None, 2e-4, "role: learning rate"]
    assert {"path", "default", "why"} <= set(document["kept"][0])
    assert "model.num_select <= model.num_queries" in str(document["rules"])


def test_text_and_json_tell_the_same(call) -> None:
    document = call("space", "dino", "--json").document
    shown = set(rows(call("space", "dino").out))
    paths = {item["path"] for part in ("searched", "kept") for item in document[part]}
    assert paths <= shown


def test_a_range_of_the_users_own_is_marked_as_such(call) -> None:
    size = "dataset.augmentation.random_resize_max_size"
    words = ("--search", "train.optim.lr=1e-5..3e-4:log", "--search", f"{size}=800..1333")
    document = call("space", "dino", *words, "--json").document
    searched = {item["path"]: item for item in document["searched"]}
    found = [[searched[path][name] for name in ("low", "high", "origin")] for path in ("train.optim.lr", size)]
    assert found == [[1e-5, 3e-4, "--search"], [800, 1333, "--search"]]


def test_a_key_that_is_kept_or_set_is_not_searched(call) -> None:
    words = ("--keep", "model.enc_layers", "--set", "train.optim.optimizer=SGD")
    document = call("space", "dino", *words, "--json").document
    searched = {item["path"] for item in document["searched"]}
    assert "model.enc_layers" not in searched
    assert "train.optim.momentum" in searched


def test_with_the_policy_off_nothing_is_searched(call) -> None:
    document = call("space", "dino", "--automl-policy", "off", "--json").document
    assert document["searched"] == []
    assert {item["why"] for item in document["kept"]} == {"AutoML policy is off"}


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("dnio",), "'dino'"),
        (("dino", "--search", "train.optim.lr=1e-3..1e-5"), "train.optim.lr"),
        (("dino", "--keep", "train.optim.lrr"), "'train.optim.lr'"),
        ((), "model"),
    ],
)
def test_what_is_asked_wrongly_is_named(call, words: tuple[str, ...], named: str) -> None:
    said = call("space", *words)
    assert (said.code, said.out) == (2, "")
    assert named in said.err.lower()


def test_in_a_narrow_terminal_the_origins_are_a_table_of_their_own(call, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    above, below = call("space", "dino").out.split("Kept")[0].split("\n\n")[1:3]
    assert "1e-06..0.0001" in above
    assert "role" not in above
    assert rows(below)["train.optim.lr"][:3] == ["role:", "learning", "rate,"]
    assert all(cell_len(line) <= 80 for line in [*above.splitlines(), *below.splitlines()])
    monkeypatch.setenv("COLUMNS", "120")
    wider = call("space", "dino").out.split("Kept")[0]
    assert "role: learning rate, a twentieth to" in wider
    assert all(cell_len(line) <= 120 for line in wider.splitlines())


def test_of_a_study_it_is_what_is_searched_now(call, tmp_path) -> None:
    plan = finished.make(tmp_path)
    moved = {"path": "train.optim.lr", "side": "high", "to": 2e-3, "trials": 6}
    study = studies.load(studies.open_storage(plan.storage_url), "done")
    studies.set_study_attributes(study, {attributes.WIDENED: [moved]})
    said = call("space", "done", "--studies-dir", str(plan.studies.folder))
    assert said.out.startswith("study done of dino: ")
    assert rows(said.out)["train.optim.lr"][1] == "1e-05..0.002"
    assert "its high end was 0.001 for the first 6 trials" in " ".join(said.out.split()).replace("train. ", "train.")
    document = call("space", "done", "--studies-dir", str(plan.studies.folder), "--json").document
    assert next(item["high"] for item in document["searched"] if item["path"] == "train.optim.lr") == 2e-3
    refused = call("space", "done", "--studies-dir", str(plan.studies.folder), "--keep", "train.optim.lr")
    assert (refused.code, "is fixed" in refused.err) == (2, True)
