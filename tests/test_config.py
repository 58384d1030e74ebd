"""Settings: one table of keys, read the same way wherever they stand, the strongest place first."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tao_automl.config import KEYS, Layer, environment, resolve, seconds, size_bytes
from tao_automl.errors import ConfigError, UsageError


def test_the_strongest_layer_wins_and_says_where_a_value_is_from() -> None:
    flags = Layer("flag", {"trials": "3"})
    file = Layer("file dino.yaml", {"trials": 20, "epochs": 5})
    settings = resolve([flags, file])
    assert (settings["trials"], settings.origin("trials")) == (3, "flag")
    assert (settings["epochs"], settings.origin("epochs")) == (5, "file dino.yaml")
    assert settings.origin("seed") == "default"


def test_mappings_merge_by_entry_and_lists_of_keys_join() -> None:
    flags = Layer("flag", {"set": ("train.optim.lr=1e-3",), "keep": ("a.b",)})
    file = Layer("file", {"set": {"train.optim.lr": 1.0, "model.x": 2}, "keep": ["c.d"]})
    settings = resolve([flags, file])
    assert settings["set"] == {"train.optim.lr": "1e-3", "model.x": 2}
    assert set(settings["keep"]) == {"a.b", "c.d"}


def test_data_directories_of_the_strongest_layer_replace_weaker_ones(tmp_path) -> None:
    flags = Layer("flag", {"train_data": (str(tmp_path / "a"),)})
    file = Layer("file", {"train_data": ["b", "c"]})
    assert resolve([flags, file])["train_data"] == [tmp_path / "a"]


def test_variables_have_the_name_of_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAO_AUTOML_TRIALS", "4")
    monkeypatch.setenv("TAO_AUTOML_TIME", "")
    settings = resolve([environment()])
    assert (settings["trials"], settings.origin("trials")) == (4, "environment")
    assert settings["time"] is None


@pytest.mark.parametrize(
    ("name", "raw", "said"),
    [
        ("trials", "0", "is below 1"),
        ("trials", "ten", "is not a whole number"),
        ("trials", "1.5", "is not a whole number"),
        ("time", "soon", "is not a duration"),
        ("time", "0", "is not above zero"),
        ("min_free", "much", "is not a size"),
        ("name", "../x", "may hold letters"),
        ("direction", "up", "is not one of maximize, minimize"),
        ("automl_policy", "maybe", "is not one of on, off"),
        ("keep_checkpoints", "some", "is neither 'all' nor a number"),
        ("model", " ", "is not a word"),
    ],
)
def test_a_bad_value_names_the_flag_and_what_is_wrong(name: str, raw: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        resolve([Layer("flag", {name: raw})])
    assert caught.value.message.startswith(KEYS[name].flag)
    assert caught.value.tip


def test_a_bad_value_in_a_file_names_file_and_line() -> None:
    file = Layer("file dino.yaml", {"trials": "many"}, lambda key: "dino.yaml:7")
    with pytest.raises(ConfigError, match=re.escape("dino.yaml:7: trials many: is not a whole number")):
        resolve([file])


def test_an_unknown_setting_in_a_file_offers_near_ones() -> None:
    with pytest.raises(ConfigError, match="'trails' is not a setting") as caught:
        resolve([Layer("file", {"trails": 3}, lambda key: "x.yaml:1")])
    assert "trials" in caught.value.tip


def test_yaml_booleans_and_the_older_word_are_understood_for_the_policy() -> None:
    read = KEYS["automl_policy"].read
    assert [read(False), read(True), read("auto"), read("off")] == ["off", "on", "on", "off"]


@given(st.integers(0, 99), st.integers(0, 59), st.integers(1, 59))
def test_durations_add_up(hours: int, minutes: int, rest: int) -> None:
    assert seconds(f"{hours}h{minutes}m{rest}s") == hours * 3600 + minutes * 60 + rest


@given(st.text(max_size=12))
def test_any_text_is_a_duration_or_a_plain_refusal(text: str) -> None:
    try:
        assert seconds(text) > 0
    except ValueError as error:
        assert "duration" in str(error) or "zero" in str(error)


def test_sizes_know_both_kinds_of_units() -> None:
    assert [size_bytes(text) for text in ("4096", "1 KiB", "2GB", "1.5 MiB")] == [
        4096,
        1024,
        2 * 10**9,
        1572864,
    ]
