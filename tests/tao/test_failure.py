from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tao_automl.tao import failure
from tao_automl.tao.failure import TABLE, FailureReason

R = FailureReason
LINES = [
    ("RuntimeError: CUDA error: device-side assert triggered", R.NUM_CLASSES),
    ("/pytorch/aten/src/ATen/native/cuda/Loss.cu:250: block: [0] Assertion `t >= 0` failed.", R.NUM_CLASSES),
    ("NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus.", R.BAD_GPU),
    ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.", R.GPU_OOM),
    ("ERROR: Unexpected bus error encountered in worker.", R.SHM),
    ("OSError: [Errno 28] No space left on device: '/dev/shm/torch_123'", R.SHM),
    ("RuntimeError: DataLoader worker (pid(s) 41) exited unexpectedly", R.HOST_OOM),
    ("INFO - Command completed with return code -9 (entrypoint.py:465)", R.HOST_OOM),
    ("OSError: [Errno 28] No space left on device", R.DISK),
    ("NotADirectoryError: [Errno 20] Not a directory: '/data/images.tar.gz/0.jpg'", R.NOT_UNPACKED),
    ("FileNotFoundError: [Errno 2] No such file or directory: '/data/a.json'", R.MISSING_DATA),
    ("ValueError: Dataset size (3) is smaller than the total batch size (4).", R.BATCH_TOO_LARGE),
    ("Key 'foo' not in 'TrainConfig'", R.BAD_SPEC),
    ("Value 'abc' of type 'str' could not be converted to Integer", R.BAD_SPEC),
    ("omegaconf.errors.MissingMandatoryValue: Missing mandatory value: model", R.BAD_SPEC),
    ("AssertionError: Checkpoint interval 10 > number of epochs 3", R.BAD_SPEC),
    ("RuntimeError: selected index k out of range", R.SELECTION),
    ("NotImplementedError: Optimizer Lion is not implemented", R.ARCHITECTURE),
    ("RuntimeError: Error(s) in loading state_dict for Model:", R.SHAPE),
    ("AssertionError: assert (boxes1[:, 2:] >= boxes1[:, :2]).all()", R.DIVERGED),
    ("[Rank 1] Watchdog caught collective operation timeout: WorkNCCL", R.NCCL),
    ("RuntimeError: CUDA error: an illegal memory access was encountered", R.PRECISION),
    ("docker: could not select device driver with capabilities: [[gpu]]", R.GPU_RUNTIME),
    ("MisconfigurationException: You requested gpu: [1] But your machine only has: [0]", R.GPU_IDS),
    ("Error response from daemon: unauthorized: authentication required", R.REGISTRY_LOGIN),
    ("manifest for example/tao:9 not found: manifest unknown", R.IMAGE_MISSING),
    ("net/http: TLS handshake timeout", R.NETWORK),
    ("OSError: We couldn't connect to 'https://huggingface.co' to load this file", R.TEXT_ENCODER),
    ("KeyError: 'getpwuid(): uid not found: 1000'", R.PERMISSION),
    ("EOFError: Ran out of input", R.BAD_CHECKPOINT),
    ("PermissionError: Cannot access model state dict without the encryption key", R.ENCRYPTION_KEY),
    ("RuntimeError: Port 29500 is already in use", R.PORT),
    ("KeyError: 'categories'", R.BAD_ANNOTATIONS),
    ("botocore.exceptions.ClientError: (NoSuchBucket) when calling GetObject", R.STORAGE),
    ("ModuleNotFoundError: No module named 'mmcv'", R.BROKEN_IMAGE),
    ("ValueError: checkpointer.monitor='mAP' is not logged by this model.", R.NO_METRIC),
]


@pytest.mark.parametrize(("line", "reason"), LINES)
def test_each_line_has_its_cause(line: str, reason: FailureReason) -> None:
    found = failure.classify(f"Epoch 1: 40%\n{line}\nExecution status: FAIL", (), 1)
    assert (found.reason, found.line) == (reason, line)
    assert found.fix


def test_every_row_of_the_table_is_tried_here() -> None:
    assert {row.reason for row in TABLE} == {reason for _, reason in LINES}


def test_a_device_side_assert_beats_what_comes_after_it() -> None:
    louder = ["ncclUnhandledCudaError", "CUDA out of memory", "an illegal memory access was encountered"]
    text = "\n".join([*louder, "CUDA error: device-side assert triggered", *louder])
    assert failure.classify(text, (), 1).reason is R.NUM_CLASSES


def test_a_broken_gpu_beats_the_traceback() -> None:
    text = "NVRM: Xid 79\nTraceback (most recent call last):\nRuntimeError: CUDA out of memory"
    assert failure.classify(text, (), 1).reason is R.BAD_GPU


def test_the_log_and_the_failure_lines_both_count() -> None:
    found = failure.classify("", ["Schema validation error: CUDA out of memory. Tried …"], 1)
    assert found.reason is R.GPU_OOM
    assert found.line == "Schema validation error: CUDA out of memory. Tried …"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (0, R.INTERRUPTED),
        (130, R.INTERRUPTED),
        (143, R.INTERRUPTED),
        (-15, R.INTERRUPTED),
        (137, R.HOST_OOM),
        (-9, R.HOST_OOM),
        (1, R.UNKNOWN),
        (None, R.UNKNOWN),
    ],
)
def test_without_a_match_the_exit_code_decides(code: int | None, reason: FailureReason) -> None:
    found = failure.classify("Epoch 1", (), code)
    assert (found.reason, found.line) == (reason, None)
    assert found.fix


def test_an_unknown_error_still_shows_its_line() -> None:
    log = "Traceback (most recent call last):\n  File 'a.py'\nKeyError: 'x'\nExecution status: FAIL"
    assert failure.classify(log, (), 1).line == "KeyError: 'x'"
    message = "Parameter validation error: bad"
    assert failure.classify(log, [message], 1).line == message


@given(st.text(max_size=200), st.lists(st.text(max_size=20), max_size=2), st.none() | st.integers(-20, 200))
def test_any_text_has_a_diagnosis(log: str, failures: list[str], code: int | None) -> None:
    found = failure.classify(log, failures, code)
    assert found.fix
    assert found.line is None or "\n" not in found.line


def test_a_log_is_cut_at_both_kinds_of_line_end_and_loses_its_colours(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes(
        b"\x1b[38;20mstart\x1b[0m\nEpoch 1:  10%|#\rEpoch 1:  20%|##\r\n\n  \x1b[1mRuntimeError: x\x1b[0m\r\xff half"
    )
    assert failure.tail(path) == [
        "start",
        "Epoch 1:  10%|#",
        "Epoch 1:  20%|##",
        "RuntimeError: x",
        "\ufffd half",
    ]
    assert failure.tail(path, 2) == ["RuntimeError: x", "\ufffd half"]


def test_a_long_log_is_read_from_its_end(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    with path.open("w") as file:
        file.writelines(f"line {number}\n" for number in range(600_000))
    lines = failure.tail(path, 3)
    assert lines == ["line 599997", "line 599998", "line 599999"]


def test_a_missing_log_is_empty(tmp_path: Path) -> None:
    assert failure.tail(tmp_path / "log.txt") == []


def test_the_line_that_says_what_was_raised_is_told_not_the_code_that_raised_it() -> None:
    quoted = 'raise RuntimeError(f"size mismatch for {names}")'
    log = f"Traceback (most recent call last):\n{quoted}\nRuntimeError: size mismatch for a\n"
    assert failure.classify(log, [], 1).line == "RuntimeError: size mismatch for a"
