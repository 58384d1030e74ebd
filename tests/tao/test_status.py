from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tao_automl.tao import status
from tao_automl.tao.failure import FailureReason
from tao_automl.tao.status import Progress

SAMPLES = Path(__file__).parents[1] / "data" / "status_samples"
NAMES = sorted(path.name.removesuffix(".status.json") for path in SAMPLES.glob("*.status.json"))


def sample(name: str) -> Progress:
    return Progress().advance(status.read(SAMPLES / f"{name}.status.json").lines)


def written(path: Path, *entries: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return path


def line(message: str, status: str = "RUNNING", **more: Any) -> dict[str, Any]:
    return {**more, "date": "11/21/2026", "time": "2:16:43", "status": status, "message": message}


def epoch(number: int, **more: Any) -> dict[str, Any]:
    return {"epoch": number, "step": 10 * (number + 1), "max_epoch": 2} | line("Training loop in progress", **more)


def maps(progress: Progress) -> dict[int, Any]:
    return {number: kpi.get("val_mAP") for number, kpi in progress.points.items()}


@pytest.mark.parametrize(
    ("name", "points", "last", "finished"),
    [
        ("success_3ep", {0: "0.1", 1: "0.31", 2: "0.28"}, 2, True),
        ("val_every_2_ckpt_every_4_6ep", {1: "0.31", 3: "0.33", 5: "0.2"}, 5, True),
        ("topk_val_mAP_max_6ep", {0: "0.1", 1: "0.31", 2: "0.28", 3: "0.33", 4: "0.34", 5: "0.2"}, 5, True),
        ("resume_same_dir", {0: "0.1", 1: "0.31", 2: "0.28", 3: "0.33"}, 3, True),
        ("ddp_2ranks", {0: "0.1", 1: "0.31"}, 1, True),
        ("fail_nan", {0: "0.1", 1: "0.31", 2: "0.28"}, 2, True),
        ("fail_oom", {0: "0.1"}, 0, False),
        ("fail_sigterm", {0: "0.1"}, 0, False),
        ("bad_interval", {}, None, False),
        ("fail_fnf", {}, None, False),
    ],
)
def test_each_epoch_has_its_own_metrics(name: str, points: dict[int, str], last: int | None, finished: bool) -> None:
    progress = sample(name)
    assert maps(progress) == points
    assert progress.last_epoch == last
    assert progress.finished is finished


def test_the_numbers_of_an_epoch_line_are_kept() -> None:
    progress = sample("success_3ep")
    assert (progress.max_epoch, progress.step, progress.runs) == (2, 30, 1)
    assert progress.time_per_epoch_s == pytest.approx(0.026327)
    assert progress.failures == ()


def test_a_resumed_run_counts_its_starts() -> None:
    assert sample("resume_same_dir").runs == 2


def test_nan_is_no_value() -> None:
    points = sample("fail_nan").points
    assert [kpi["val_loss"] for kpi in points.values()] == [None, None, None]


def test_evaluate_leaves_its_result() -> None:
    progress = sample("evaluate_dino")
    assert progress.kpi == {"test_mAP": "0.4123456789", "test_mAP50": "0.6512345678"}
    assert progress.finished
    assert progress.points == {}


def test_text_among_the_metrics_stays_text() -> None:
    kpi = sample("mask_gdino_vg_kpi").kpi
    assert kpi is not None
    assert kpi["val_dataset"] == "coco_variant"
    assert kpi["val_loss"] == 18.2


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_reading_in_pieces_gives_the_same_as_reading_at_once(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject
) -> None:
    content = (SAMPLES / f"{name}.status.json").read_bytes()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=6)))
    path = tmp_path_factory.mktemp("status") / "status.json"
    progress, offset = Progress(), 0
    for cut in [*cuts, len(content)]:
        path.write_bytes(content[:cut])
        chunk = status.read(path, offset)
        progress, offset = progress.advance(chunk.lines), chunk.offset
    assert progress == sample(name)
    assert offset == len(content)


def test_half_line_is_kept_for_the_next_read(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    first, second = (
        json.dumps(line("Größe")).encode(),
        json.dumps(line("größer"), ensure_ascii=False).encode(),
    )
    middle = second.index("ö".encode()) + 1
    path.write_bytes(first + b"\n" + second[:middle])
    chunk = status.read(path)
    assert [item.message for item in chunk.lines] == ["Größe"]
    assert chunk.offset == len(first) + 1
    path.write_bytes(first + b"\n" + second + b"\n")
    assert [item.message for item in status.read(path, chunk.offset).lines] == ["größer"]


def test_a_missing_file_has_no_lines(tmp_path: Path) -> None:
    assert status.read(tmp_path / "status.json") == status.Chunk((), 0)


def test_a_file_that_vanishes_keeps_its_offset(tmp_path: Path) -> None:
    assert status.read(tmp_path / "status.json", 120) == status.Chunk((), 120)


def test_a_shorter_file_is_another_one(tmp_path: Path) -> None:
    path = written(tmp_path / "status.json", line("a"), line("b"))
    offset = status.read(path).offset
    chunk = status.read(written(path, line("c")), offset)
    assert [item.message for item in chunk.lines] == ["c"]
    assert chunk.restarted
    assert chunk.offset == path.stat().st_size
    assert not status.read(path, chunk.offset).restarted


@pytest.mark.parametrize("broken", [b"{", b"[1]", b"3", b'"x"', b"\xff\xfe", b"{'a': 1}", b"[" * 5000, b""])
def test_a_broken_line_is_passed_over(tmp_path: Path, broken: bytes) -> None:
    path = tmp_path / "status.json"
    good = json.dumps(line("good")).encode() + b"\n"
    path.write_bytes(good + broken + b"\n" + good)
    assert [item.message for item in status.read(path).lines] == ["good", "good"]


@given(
    st.dictionaries(
        st.sampled_from(["status", "message", "kpi", "epoch", "step", "time_per_epoch"]),
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text(max_size=3)
        | st.lists(st.integers())
        | st.dictionaries(st.text(max_size=3), st.floats() | st.integers() | st.lists(st.none())),
    )
)
def test_no_json_object_stops_the_reader(tmp_path_factory: pytest.TempPathFactory, entry: dict[str, Any]) -> None:
    path = tmp_path_factory.mktemp("status") / "status.json"
    chunk = status.read(written(path, entry, entry))
    assert len(chunk.lines) == 2
    Progress().advance(chunk.lines)


def test_a_line_of_100_kb_is_read(tmp_path: Path) -> None:
    long = "skip layer: " + "x" * 100_000
    path = written(tmp_path / "status.json", line(long), line("Train finished successfully."))
    assert Progress().advance(status.read(path).lines).finished


def test_the_sanity_check_is_no_result(tmp_path: Path) -> None:
    early = line("Eval metrics generated.", kpi={"val_mAP": "0.9"})
    path = written(
        tmp_path / "status.json",
        line("Starting DINO train.", "STARTED"),
        early,
        line("Starting Training Loop.", "STARTED"),
        epoch(0),
    )
    assert Progress().advance(status.read(path).lines).points == {}


def test_a_stale_kpi_is_no_result(tmp_path: Path) -> None:
    kpi = {"val_mAP": "0.3", "val_loss": 1.0}
    path = written(
        tmp_path / "status.json",
        line("Eval metrics generated.", kpi=kpi),
        epoch(0, kpi=kpi),
        epoch(1, kpi=kpi),
        line("Train metrics generated.", kpi={"train_loss": 2.0}),
        epoch(2, kpi={"train_loss": 2.0}),
    )
    progress = Progress().advance(status.read(path).lines)
    assert progress.points == {0: kpi}
    assert progress.last_epoch == 2


def test_an_epoch_line_serves_where_the_validation_line_is_lost(tmp_path: Path) -> None:
    kpi = {"[bbox] val_mAP@50": "0.3"}
    path = written(tmp_path / "status.json", epoch(0, kpi=kpi), epoch(1, kpi={"train_loss": 1.0}))
    assert Progress().advance(status.read(path).lines).points == {0: kpi}


def test_a_validation_that_a_kill_cut_off_is_not_given_to_another_epoch(tmp_path: Path) -> None:
    path = written(
        tmp_path / "status.json",
        line("Starting DINO train.", "STARTED"),
        line("Eval metrics generated.", kpi={"val_mAP": "0.9"}),
        line("Starting DINO train.", "STARTED"),
        epoch(0),
    )
    assert Progress().advance(status.read(path).lines).points == {}


def test_failures_and_finish_are_of_the_last_start(tmp_path: Path) -> None:
    path = written(
        tmp_path / "status.json",
        line("Starting DINO train.", "STARTED"),
        line("File system error: gone", "FAILURE"),
        line("Train finished successfully."),
        line("Starting Mask Grounding DINO train.", "STARTED"),
    )
    progress = Progress().advance(status.read(path).lines)
    assert (progress.runs, progress.finished, progress.failures) == (2, False, ())


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0:01:02.345678", 62.345678),
        ("0:00:00", 0.0),
        ("1 day, 0:00:01", 86401.0),
        ("12 days, 3:04:05.5", 12 * 86400 + 3 * 3600 + 4 * 60 + 5.5),
        ("-1 day, 23:59:59", -1.0),
        ("soon", None),
        ("", None),
        (3, None),
        (None, None),
    ],
)
def test_durations_are_seconds(text: Any, value: float | None) -> None:
    assert status.seconds(text) == value


EXITS = [row.split() for row in (SAMPLES / "exit_codes.txt").read_text().splitlines()]
EXPECTED = {
    "success_3ep": (3, None),
    "val_every_2_ckpt_every_4_6ep": (6, None),
    "resume_same_dir": (4, None),
    "topk_val_mAP_max_6ep": (6, None),
    "ddp_2ranks": (2, None),
    "fail_nan": (3, None),
    "bad_interval": (3, FailureReason.UNKNOWN),
    "bad_key": (3, FailureReason.UNKNOWN),
    "fail_oom": (3, FailureReason.UNKNOWN),
    "fail_oom_no_marshmallow": (3, FailureReason.GPU_OOM),
    "fail_value": (3, FailureReason.UNKNOWN),
    "fail_fnf": (3, FailureReason.MISSING_DATA),
    "fail_oserror": (3, FailureReason.DISK),
    "fail_sigterm": (3, FailureReason.INTERRUPTED),
    "fail_sigkill": (3, FailureReason.UNKNOWN),
    "fail_sigint": (3, FailureReason.UNKNOWN),
}


@pytest.mark.parametrize(("name", "code"), [(name, int(code.removeprefix("exit="))) for name, code in EXITS])
def test_every_sample_gets_the_right_verdict(name: str, code: int) -> None:
    epochs, reason = EXPECTED[name]
    found = status.verdict(code, sample(name), "train", epochs)
    assert (found.ok, found.reason) == (reason is None, reason)
    assert found.detail.startswith("train ")


def test_a_run_that_finished_but_failed_after_that_is_not_good() -> None:
    assert not status.verdict(1, sample("success_3ep"), "train", 3).ok


def test_a_run_with_too_few_epochs_is_not_good() -> None:
    found = status.verdict(0, sample("success_3ep"), "train", 5)
    assert (found.ok, found.reason) == (False, FailureReason.INTERRUPTED)
    assert found.detail == "train finished after 3 of 5 epochs"
    assert status.verdict(0, sample("success_3ep"), "train").ok


def test_a_failure_line_in_the_middle_of_a_good_run_means_nothing(tmp_path: Path) -> None:
    lines = status.read(SAMPLES / "success_3ep.status.json").lines
    noise = status.read(written(tmp_path / "s.json", line("output layer_id 3 is nan", "FAILURE"))).lines
    progress = Progress().advance([*lines[:8], *noise, *lines[8:]])
    assert progress.failures == ("output layer_id 3 is nan",)
    assert status.verdict(0, progress, "train", 3).ok


def test_an_exit_that_nobody_saw_is_no_success() -> None:
    found = status.verdict(None, sample("success_3ep"), "train", 3)
    assert (found.ok, found.reason) == (False, FailureReason.INTERRUPTED)


def test_only_train_must_leave_a_status_file(tmp_path: Path) -> None:
    assert status.verdict(0, Progress(), "export").ok
    assert not status.verdict(0, Progress(), "train").ok
    assert not status.verdict(1, Progress(), "export").ok
    started = status.read(written(tmp_path / "s.json", line("Starting DINO export.", "STARTED"))).lines
    assert not status.verdict(0, Progress().advance(started), "export").ok
    failed = status.read(written(tmp_path / "s.json", line("File system error: x", "FAILURE"))).lines
    assert not status.verdict(0, Progress().advance(failed), "export").ok
    assert status.verdict(0, sample("evaluate_dino"), "evaluate").ok


def test_an_epoch_has_the_metrics_of_its_training_too() -> None:
    progress = sample("success_3ep")
    assert {number: list(kpi) for number, kpi in progress.trained.items()} == {
        number: ["train_loss"] for number in range(3)
    }


def test_a_model_without_a_validation_is_known_by_its_training(tmp_path: Path) -> None:
    entries = [line("Starting Net train.", "STARTED"), line("Train metrics generated.", kpi={"train_loss": 9.0})]
    for number in range(2):
        entries += [epoch(number), line("Train metrics generated.", kpi={"train_loss": 1.0 - number})]
    progress = Progress().advance(status.read(written(tmp_path / "status.json", *entries)).lines)
    assert (progress.points, progress.trained) == ({}, {0: {"train_loss": 1.0}, 1: {"train_loss": 0.0}})
