"""Settings: one table of keys, read the same way wherever they stand, the strongest place first."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tao_automl import studyfile
from tao_automl.config import KEYS, Layer, environment, resolve
from tao_automl.errors import ConfigError, UsageError
from tao_automl.execution import runtimes
from tao_automl.layout import configs_dir
from tao_automl.values import seconds, size_bytes


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
        ("gpus", "1.5", "only a share of one GPU"),
        ("gpus", "some", "neither a whole number"),
        ("share_gpus", "maybe", "is not one of on, off"),
        ("image_policy", "often", "is not one of missing, always, never"),
        ("mount", "/a:b", "'/a:b' is not HOST, HOST:CONTAINER or"),
        ("mount", "/a:/b:rx", "ends neither in ro nor in rw"),
        ("env", "1ST=x", "'1ST' is no name of a variable"),
        ("env", "WORLD_SIZE=2", "is set by tao-automl and the trainer"),
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


def test_gpus_are_whole_or_a_share_of_one():
    read = KEYS["gpus"].read
    assert [read(raw) for raw in ("0", 2, "1.0", 0.5, "0.25", ".5")] == [0, 2, 1, 0.5, 0.25, 0.5]
    assert isinstance(read("1.0"), int)


def test_variables_of_all_places_add_up_and_one_without_a_value_is_a_secret() -> None:
    platform = Layer("platform box", {"env": {"NCCL_DEBUG": "INFO", "HF_HOME": "/cache"}})
    flags = Layer("flag", {"env": ("HF_TOKEN", "NCCL_DEBUG=WARN", "OPTIONS=a=b")})
    settings = resolve([flags, platform])
    assert settings["env"] == {"NCCL_DEBUG": "WARN", "HF_HOME": "/cache", "HF_TOKEN": None, "OPTIONS": "a=b"}
    later = settings.with_values("flag", env={"HF_HOME": "/new"}, mount=["/b"])
    assert later["env"] == {**settings["env"], "HF_HOME": "/new"}


@pytest.mark.parametrize(
    "pair",
    [
        *("HF_TOKEN=hf_abc", "NGC_KEY=abc", "WANDB_API_KEY=abc", "DB_PASSWORD=abc", "AWS_ACCESS_KEY_ID=abc"),
        *("MYSECRET=abc", "SMTP_PWD=abc", "ngc_apikey=abc", "HTTPS_PROXY=http://me:abc@proxy:1"),
    ],
)
def test_a_secret_with_its_value_is_refused_and_the_value_is_not_repeated(pair: str) -> None:
    name = pair.split("=", maxsplit=1)[0]
    with pytest.raises(UsageError, match="looks like a secret") as caught:
        resolve([Layer("flag", {"env": (pair,)})])
    assert "abc" not in caught.value.message + caught.value.tip
    assert f"--env {name}" in caught.value.tip


@pytest.mark.parametrize(
    "pair", ["TOKENIZERS_PARALLELISM=false", "KEYBOARD=de", "PWD=/x", "MAX_TOKENS=9", "A=http://b"]
)
def test_a_harmless_variable_keeps_its_value(pair: str) -> None:
    assert resolve([Layer("flag", {"env": (pair,)})])["env"] == dict([pair.split("=", maxsplit=1)])


def test_mounts_of_all_places_add_up_with_absolute_folders_of_this_machine(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = resolve([Layer("flag", {"mount": ("here:/in:rw",)}), Layer("file", {"mount": ["/cache"]})])
    assert settings["mount"] == ["/cache", f"{tmp_path}/here:/in:rw"]


@pytest.mark.parametrize("name", sorted(path.stem for path in (configs_dir() / "platforms").glob("*.yaml")))
def test_a_shipped_platform_names_a_runtime_and_only_known_settings(name: str) -> None:
    settings = resolve([studyfile.platform(name)])
    assert settings["runtime"] in runtimes.names()
    assert settings["gpus"] == 1


def test_local_docker_and_cluster_platforms_are_shipped() -> None:
    assert {"local", "docker", "cluster"} == {path.stem for path in (configs_dir() / "platforms").glob("*.yaml")}
    assert resolve([studyfile.platform("cluster")])["address"]


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
