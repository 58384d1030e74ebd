from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tao_automl.tao import failure, status
from tao_automl.tao.causes import TABLE
from tao_automl.tao.failure import FailureReason, Reaction
from tao_automl.tao.status import Progress

R, X = FailureReason, Reaction
SAMPLES = Path(__file__).parents[1] / "data" / "status_samples"
OOM = (
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.10 GiB"
    " of which 1.05 GiB is free. "
)
OWN = (
    " Of the allocated memory 17.31 GiB is allocated by PyTorch, and 210.50 MiB is reserved by PyTorch but unallocated."
)
FULL = (
    " Of the allocated memory 76.52 GiB is allocated by PyTorch, and 310.50 MiB is reserved by PyTorch but unallocated."
)
LINES = [  # what trainers write
    ("RuntimeError: CUDA error: device-side assert triggered", R.NUM_CLASSES, X.ABORT),
    ("/pytorch/aten/src/ATen/native/cuda/Loss.cu:250: block: [0] Assertion `t >= 0` failed.", R.NUM_CLASSES, X.ABORT),
    ("NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus.", R.BAD_GPU, X.ELSEWHERE),
    ("RuntimeError: CUDA error: uncorrectable ECC error encountered", R.BAD_GPU, X.ELSEWHERE),
    ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.", R.GPU_OOM, X.CHANGE),
    (OOM + "Including non-PyTorch memory, this process has 78.05 GiB memory in use." + FULL, R.GPU_OOM, X.CHANGE),
    (OOM + "Process 41263 has 78.05 GiB memory in use." + FULL, R.GPU_OOM, X.CHANGE),  # itself, seen from a container
    (OOM + "Process 41263 has 60.12 GiB memory in use." + OWN, R.GPU_BUSY, X.ELSEWHERE),
    (
        OOM + "Process 9 has 60.12 GiB memory in use. Including non-PyTorch memory, this process has 17.90 GiB memory"
        " in use.",
        R.GPU_BUSY,
        X.ELSEWHERE,
    ),
    ("RuntimeError: cuDNN error: CUDNN_STATUS_ALLOC_FAILED", R.GPU_OOM, X.CHANGE),
    ("ERROR: Unexpected bus error encountered in worker.", R.SHM, X.INFEASIBLE),
    ("OSError: [Errno 28] No space left on device: '/dev/shm/torch_123'", R.SHM, X.INFEASIBLE),
    ("RuntimeError: DataLoader worker (pid(s) 41) exited unexpectedly", R.HOST_OOM, X.RETRY),
    ("INFO - Command completed with return code -9 (entrypoint.py:465)", R.HOST_OOM, X.RETRY),
    ("OSError: [Errno 28] No space left on device", R.DISK, X.RETRY),
    ("NotADirectoryError: [Errno 20] Not a directory: '/data/images.tar.gz/0.jpg'", R.NOT_UNPACKED, X.ABORT),
    ("FileNotFoundError: Checkpoint file not found: /data/a.pth", R.BAD_CHECKPOINT, X.ABORT),
    ("FileNotFoundError: [Errno 2] No such file or directory: '/data/a.json'", R.MISSING_DATA, X.ABORT),
    ("ValueError: Dataset size (3) is smaller than the total batch size (4).", R.BATCH_TOO_LARGE, X.INFEASIBLE),
    ("Key 'foo' not in 'TrainConfig'", R.BAD_SPEC, X.INFEASIBLE),
    ("Value 'abc' of type 'str' could not be converted to Integer", R.BAD_SPEC, X.INFEASIBLE),
    ("omegaconf.errors.MissingMandatoryValue: Missing mandatory value: model", R.BAD_SPEC, X.INFEASIBLE),
    ("AssertionError: Checkpoint interval 10 > number of epochs 3", R.BAD_SPEC, X.INFEASIBLE),
    ("RuntimeError: selected index k out of range", R.SELECTION, X.INFEASIBLE),
    ("NotImplementedError: Optimizer Lion is not implemented", R.ARCHITECTURE, X.INFEASIBLE),
    ("RuntimeError: Error(s) in loading state_dict for Model:", R.SHAPE, X.INFEASIBLE),
    ("AssertionError: assert (boxes1[:, 2:] >= boxes1[:, :2]).all()", R.DIVERGED, X.INFEASIBLE),
    ("ValueError: matrix contains invalid numeric entries", R.DIVERGED, X.INFEASIBLE),
    ("[Rank 1] Watchdog caught collective operation timeout: WorkNCCL", R.NCCL, X.RETRY),
    ("torch.distributed.DistBackendError: NCCL error in: ProcessGroupNCCL.cpp:1970", R.NCCL, X.RETRY),
    ("RuntimeError: CUDA error: an illegal memory access was encountered", R.PRECISION, X.INFEASIBLE),
    ("RuntimeError: No supported gpu backend found!", R.GPU_RUNTIME, X.ELSEWHERE),
    ("MisconfigurationException: You requested gpu: [1] But your machine only has: [0]", R.GPU_IDS, X.ABORT),
    ("OSError: We couldn't connect to 'https://huggingface.co' to load this file", R.TEXT_ENCODER, X.ABORT),
    ("KeyError: 'getpwuid(): uid not found: 1000'", R.PERMISSION, X.ABORT),
    ("PermissionError: [Errno 13] Permission denied: '/results/train'", R.PERMISSION, X.ABORT),
    ("EOFError: Ran out of input", R.BAD_CHECKPOINT, X.RETRY),
    ("PermissionError: Cannot access model state dict without the encryption key", R.ENCRYPTION_KEY, X.ABORT),
    ("RuntimeError: Port 29500 is already in use", R.PORT, X.RETRY),
    ("KeyError: 'categories'", R.BAD_ANNOTATIONS, X.ABORT),
    ("botocore.exceptions.ClientError: An error occurred (SlowDown) when calling GetObject", R.NETWORK, X.RETRY),
    ("botocore.exceptions.ClientError: (NoSuchBucket) when calling GetObject", R.STORAGE, X.ABORT),
    ("ModuleNotFoundError: No module named 'mmcv'", R.BROKEN_IMAGE, X.ABORT),
    ("ValueError: checkpointer.monitor='mAP' is not logged by this model.", R.NO_METRIC, X.ABORT),
    ("s3://data/train/images has changed since the study was started", R.STORAGE, X.ABORT),
    ("there is no s3://data/train/annotations.json", R.STORAGE, X.ABORT),
    ("there is no bucket 'data' for s3://data/train", R.STORAGE, X.ABORT),
    ("access to s3://data/train is denied", R.STORAGE, X.ABORT),
    ("there are no usable AWS credentials for s3://data/train", R.STORAGE, X.ABORT),
    ("the AWS credentials are refused for s3://data/train: ExpiredToken", R.STORAGE, X.ABORT),
    ("the S3 endpoint http://box:9000 does not answer for s3://data/train", R.NETWORK, X.RETRY),
    ("the connection to s3://data/train/a.bin is cut again and again", R.NETWORK, X.RETRY),
]
AT_START = [  # what engines say when a job cannot be started
    ('could not select device driver "" with capabilities: [[gpu]]', R.GPU_RUNTIME, X.ELSEWHERE),
    ("nvidia-container-cli: device error: 3: unknown device: unknown", R.GPU_RUNTIME, X.ELSEWHERE),
    ("Head https://example/v2/tao: unauthorized: authentication required", R.REGISTRY_LOGIN, X.ABORT),
    ("pull access denied for tao, repository does not exist or may require 'docker login'", R.IMAGE_MISSING, X.ABORT),
    ("manifest for example/tao:9 not found: manifest unknown", R.IMAGE_MISSING, X.ABORT),
    ("No such image: example/tao:7", R.IMAGE_MISSING, X.ELSEWHERE),
    ("net/http: TLS handshake timeout", R.NETWORK, X.RETRY),
    ("toomanyrequests: You have reached your pull rate limit.", R.NETWORK, X.RETRY),
    (
        'invalid mount config for type "bind": bind source path does not exist: /data/train',
        R.MISSING_DATA,
        X.ELSEWHERE,
    ),
    (
        "driver failed programming external connectivity: Bind for 0.0.0.0:80: port is already allocated",
        R.PORT,
        X.RETRY,
    ),
    ("failed to register layer: write /usr/lib/a.so: no space left on device", R.DISK, X.ELSEWHERE),
    ("permission denied while trying to connect to the Docker daemon socket", R.PERMISSION, X.ELSEWHERE),
    ("No such container: s-0001-1", R.LOST, X.ELSEWHERE),
    ("node gpu-1 was lost and did not come back", R.LOST, X.ELSEWHERE),
    ("it was stopped before it started", R.INTERRUPTED, X.RETRY),
    ('exec: "trainer": executable file not found in $PATH', R.BROKEN_IMAGE, X.ABORT),
    ("something that nobody has seen before", R.UNKNOWN, X.ELSEWHERE),
]


@pytest.mark.parametrize(("line", "reason", "reaction"), LINES)
def test_each_line_has_its_cause_and_its_reaction(line: str, reason: FailureReason, reaction: Reaction) -> None:
    found = failure.classify(f"Epoch 1: 40%\n{line}\nExecution status: FAIL", (), 1)
    assert (found.reason, found.reaction, found.line) == (reason, reaction, line[:500])
    assert found.fix


@pytest.mark.parametrize(("line", "reason", "reaction"), AT_START)
def test_what_an_engine_says_has_its_cause_too(line: str, reason: FailureReason, reaction: Reaction) -> None:
    found = failure.classify("", (), None, error=line)
    assert (found.reason, found.reaction, found.line) == (reason, reaction, line)
    assert found.fix


def test_every_row_of_the_table_is_tried_here() -> None:
    for row in TABLE:
        tried = {(reason, reaction) for _, reason, reaction in (AT_START if row.at_start else LINES)}
        tried |= {(R.GPU_RUNTIME, X.ELSEWHERE), (R.PORT, X.RETRY)}  # said by both
        assert (row.reason, row.reaction) in tried


def test_words_of_an_engine_mean_nothing_in_the_log_of_a_trainer() -> None:
    log = "wandb: 401 unauthorized\nConnection reset by peer\nKeyError: 'x'"
    assert failure.classify(log, (), 1).reason is R.UNKNOWN


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("fail_oom_no_marshmallow", R.GPU_OOM),
        ("fail_fnf", R.MISSING_DATA),
        ("fail_oserror", R.DISK),
        ("fail_value", R.UNKNOWN),
        ("fail_sigkill", R.UNKNOWN),
    ],
)
def test_the_failure_lines_of_real_runs_are_read(name: str, reason: FailureReason) -> None:
    progress = Progress().advance(status.read(SAMPLES / f"{name}.status.json").lines)
    assert failure.classify("", progress.failures, 1).reason is reason


def test_a_stop_from_outside_is_no_fault_of_the_config_whatever_the_log_says() -> None:
    found = failure.classify("NCCL WARN x", ["output layer_id 3 is nan"], 0)
    assert (found.reason, found.reaction) == (R.INTERRUPTED, X.RETRY)


def test_the_engine_knows_of_a_kill_for_memory_that_the_log_does_not() -> None:
    found = failure.classify("Epoch 1", (), 1, oom_killed=True)
    assert (found.reason, found.line) == (R.HOST_OOM, "The engine says: OOMKilled=true")


def test_what_an_engine_says_of_a_job_that_ran_is_one_hint_more() -> None:
    assert failure.classify("", (), 128, error="nvidia-container-cli: initialization error").reason is R.GPU_RUNTIME
    assert failure.classify("", (), 1, error="unauthorized").reason is R.UNKNOWN


def test_a_lost_job_is_lost_whatever_its_log_says_but_for_a_broken_gpu() -> None:
    assert failure.classify("NCCL WARN x", ["x"], None) == failure.diagnosis(R.LOST)
    assert failure.classify("NVRM: Xid 79", (), None).reason is R.BAD_GPU


def test_a_hang_is_the_error_of_another_rank_or_else_a_hang() -> None:
    assert failure.hang("rank 1: CUDA out of memory", (), "silent").reason is R.GPU_OOM
    for log in ("Epoch 1", "Watchdog caught collective operation timeout"):
        found = failure.hang(log, (), "no new line for 600 s")
        assert (found.reason, found.reaction, found.line) == (R.HANG, X.RETRY, "no new line for 600 s")


@pytest.mark.parametrize(
    ("points", "reason", "line"),
    [
        ({}, R.NO_METRIC, "no epoch reported mAP"),
        ({0: {"val_loss": 1.0}}, R.NO_METRIC, "no epoch reported mAP; reported were val_loss"),
        ({0: {"val_loss": 1.0}, 1: {"mAP": None}}, R.DIVERGED, "mAP was not a number in epoch 1"),
        ({3: {"ap": "nan"}}, R.DIVERGED, "ap was not a number in epoch 3"),
    ],
)
def test_a_metric_that_is_no_number_is_not_a_metric_that_is_absent(points, reason, line) -> None:
    found = failure.without_metric(("mAP", "ap"), points)
    assert (found.reason, found.line) == (reason, line)


@pytest.mark.parametrize("reason", R)
def test_every_cause_can_be_named_without_its_text(reason: FailureReason) -> None:
    found = failure.diagnosis(reason, "two\nlines")
    assert (found.reason, found.line) == (reason, "two lines")
    assert found.fix


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
        (None, R.LOST),
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
