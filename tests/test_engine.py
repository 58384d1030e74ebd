"""The engine that tests run containers on, and the stand-in's image in it."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tao_automl.standin.networks import NETWORKS
from tests.engine import SCRIPT, Container, Engine

DOCKERFILE = SCRIPT.with_name("standin.Dockerfile").read_text()


def until(done: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not done():
        assert time.monotonic() < end
        time.sleep(0.05)


def named(engine: Engine, name: str) -> Container:
    return next(container for container in engine.containers() if container.name == name)


def of_folder(folder: Path) -> list[str]:
    """Processes that name it, and what is mounted below it."""
    commands = [
        path.read_bytes().decode(errors="replace") for path in Path("/proc").glob("[0-9]*/cmdline") if alive(path)
    ]
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    return [text for text in (*commands, *mounts) if f"{folder}/" in text]


def alive(path: Path) -> bool:
    try:
        return bool(path.read_bytes())
    except OSError:
        return False


def test_containers_outlive_their_engine_but_not_its_end(docker_env: Engine) -> None:
    engine = docker_env
    words = ("--network", "none", "--label", "who=me", "--env", "A=b=c", "--gpus", '"device=7,x"')
    engine.docker("run", "--detach", "--name", "long", *words, engine.image, "sleep", "300")
    before = named(engine, "long")
    assert (before.state, before.labels, before.env["A"], before.gpus) == ("running", {"who": "me"}, "b=c", ("7", "x"))
    assert (before.exit_code, before.finished_s) == (None, None)
    assert before.created_s is not None
    assert before.started_s is not None
    assert 0 <= before.started_s - before.created_s < 60
    for end in (engine.stop, engine.kill):
        end()
        assert engine.pid is None
        engine.start()
        assert engine.containers(all=False) == [before]
    engine.kill()
    subprocess.run([SCRIPT, "stop", engine.folder], check=True)
    assert of_folder(engine.folder) == []
    assert subprocess.run([SCRIPT, "status", engine.folder], check=False).returncode == 3
    engine.start()
    assert named(engine, "long").state == "exited"
    engine.remove_all()


def spec(folder: Path, epochs: int) -> dict:
    pairs = [
        {"image_dir": f"{folder}/data/{split}/images", "json_file": f"{folder}/data/{split}/annotations.json"}
        for split in ("train", "val")
    ]
    dataset = {"train_data_sources": pairs[:1], "val_data_sources": pairs[1:], "batch_size": 2, "num_classes": 5}
    return {"results_dir": str(folder), "train": {"num_epochs": epochs}, "dataset": dataset}


def train(engine: Engine, folder: Path, epochs: int, *words: str) -> None:
    """Start a container that makes data and trains on them; the launcher becomes its first process."""
    (folder / "spec.yaml").write_text(yaml.safe_dump(spec(folder, epochs)))
    script = "python3 -m tao_automl.standin shapes data --train 8 --val 4 && exec dino train -e spec.yaml"
    place = ("--volume", f"{folder}:{folder}", "--workdir", str(folder), "--name", folder.name, "--network", "none")
    engine.docker("run", "--detach", "--env", "TELEMETRY_OPT_OUT=1", *place, *words, engine.image, "sh", "-c", script)


def test_the_image_trains_as_a_container_of_tao_does(docker_env: Engine, tmp_path: Path) -> None:
    engine = docker_env
    whole, broken, nobody = (tmp_path / name for name in ("whole", "broken", "nobody"))
    for folder in (whole, broken, nobody):
        folder.mkdir(mode=0o777)
        folder.chmod(0o777)
    train(engine, whole, 2, "--gpus", '"device=1,3"')
    train(engine, broken, 50, "--env", "STANDIN_EPOCH_S=1")
    train(engine, nobody, 1, "--user", "12345")

    status = broken / "train" / "status.json"
    until(lambda: status.exists() and '"epoch": 0' in status.read_text())
    engine.docker("kill", "--signal", "TERM", "broken")  # the first process has no handler, so the kernel drops it
    launcher_and_child = engine.docker("exec", "broken", "sh", "-c", "grep -l '^PPid:.1$' /proc/[0-9]*/status")
    child = re.findall(r"\d+", launcher_and_child)[0]
    assert named(engine, "broken").state == "running"
    engine.docker("exec", "broken", "sh", "-c", f"kill -TERM {child}")
    until(lambda: all(container.state == "exited" for container in engine.containers()))

    assert [named(engine, name).exit_code for name in ("whole", "broken", "nobody")] == [0, 0, 1]
    assert "finished successfully" not in status.read_text()
    assert len(list((broken / "train").glob("model_epoch_*.pth"))) == 2
    assert "KeyError: 'getpwuid(): uid not found: 12345'" in engine.docker("logs", "nobody")
    assert "Train finished successfully." in (whole / "train" / "status.json").read_text()
    seen = json.loads((whole / "train" / "standin_env.json").read_text())
    assert (seen["NVIDIA_VISIBLE_DEVICES"], seen["leaked"]) == ("1,3", [])
    ended = named(engine, "whole")
    assert ended.started_s <= seen["started_s"] <= seen["ended_s"] <= ended.finished_s
    engine.remove_all()


def test_the_image_is_what_its_dockerfile_says(docker_env: Engine) -> None:
    commands = set(re.findall(r"^COPY docker/network /usr/local/bin/(\w+)$", DOCKERFILE, re.M))
    packages = re.search(r"--no-install-recommends (.+) \\$", DOCKERFILE, re.M)[1].split()
    script = f"ls /usr/local/bin; dpkg-query --show --showformat '${{Package}} ' {' '.join(packages)}"
    there = docker_env.docker("run", "--rm", "--network", "none", docker_env.image, "sh", "-c", script).split()
    assert commands == {*NETWORKS}
    assert sorted(there) == sorted([*commands, *packages])


def test_a_folder_too_deep_for_a_socket_is_refused(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60)
    done = subprocess.run([SCRIPT, "start", deep], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "too long for the path of a socket" in done.stderr


@pytest.mark.parametrize("words", [["dance"], []])
def test_an_unknown_command_prints_the_usage(words: list[str]) -> None:
    done = subprocess.run([SCRIPT, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "docker/engine start" in done.stderr
