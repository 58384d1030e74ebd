"""What follows training: evaluate, export, inference."""

from __future__ import annotations

import json

from tests.standin.lines import SAMPLES, checkpoints, shapes


def test_evaluate_gives_what_its_epoch_reported(trainer) -> None:
    trainer(train__num_epochs=3)
    lines = [json.loads(line) for line in (trainer.folder / "train" / "status.json").read_text().splitlines()]
    said = {line["epoch"]: line["kpi"]["val_mAP50"] for line in lines if "epoch" in line}
    for epoch, path in enumerate(checkpoints(trainer.folder)):
        folder = trainer.folder / f"eval-{epoch}"
        done = trainer("evaluate", evaluate__checkpoint=str(path), evaluate__results_dir=str(folder))
        assert done.returncode == 0, done.stdout
        last = json.loads((folder / "status.json").read_text().splitlines()[-1])
        assert last["kpi"]["test_mAP50"] == said[epoch]
    assert shapes(folder / "status.json") == shapes(SAMPLES / "evaluate_dino.status.json")


def test_evaluate_with_another_architecture_fails_without_a_failure_line(trainer) -> None:
    trainer(train__num_epochs=1)
    path = checkpoints(trainer.folder)[0]
    done = trainer("evaluate", evaluate__checkpoint=str(path), dataset__num_classes=9)
    assert done.returncode == 1
    assert "size mismatch" in done.stdout
    assert "FAILURE" not in (trainer.folder / "evaluate" / "status.json").read_text()


def test_export_writes_its_file_once(trainer) -> None:
    trainer(train__num_epochs=1)
    file = trainer.folder / "model.onnx"
    words = {"export__checkpoint": str(checkpoints(trainer.folder)[0]), "export__onnx_file": str(file)}
    assert trainer("export", **words).returncode == 0
    before = file.read_bytes()
    again = trainer("export", **words)
    assert again.returncode == 1
    assert "already exists" in again.stdout
    assert file.read_bytes() == before


def test_inference_draws_and_lists_each_image(trainer) -> None:
    trainer(train__num_epochs=1)
    done = trainer("inference", inference__checkpoint=str(checkpoints(trainer.folder)[0]))
    assert done.returncode == 0, done.stdout
    images = {path.stem for path in (trainer.data / "val" / "images").iterdir()}
    assert {path.stem for path in (trainer.folder / "inference" / "images_annotated").iterdir()} == images
    assert {path.stem for path in (trainer.folder / "inference" / "labels").iterdir()} == images


def test_too_little_data_for_a_batch_is_a_failure_line(trainer) -> None:
    assert trainer.inside(train__num_epochs=1) == 0
    given = {"checkpoint": str(checkpoints(trainer.folder)[0]), "batch_size": 3, "num_gpus": 2}
    for action, word in (("evaluate", "evaluation"), ("inference", "inference")):
        assert trainer.inside(action, **{action: given}) == 1
        last = json.loads((trainer.folder / action / "status.json").read_text().splitlines()[-1])
        said = f"Dataset size (4) is smaller than the total batch size (6). Not enough data for {word}."
        assert last["message"].endswith(said)
