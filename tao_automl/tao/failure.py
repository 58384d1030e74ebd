"""Why a job failed: one table of what containers write when they die.

The text is the tail of the log and the FAILURE lines of status.json. The rows are tried from the top and the
first that matches anywhere wins, because the cause is often followed by louder consequences: a device-side
assert makes every later CUDA call fail, and a broken GPU ends in a traceback of the trainer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

_TAIL_BYTES = 4 * 2**20
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")
_RAISED = re.compile(r"^(?:[\w.]*(?:Error|Exception|Interrupt|Exit)\b.*|.*\bFATAL\b.*)$")


class FailureReason(str, Enum):
    """The cause of a failure, as stored and shown."""

    NUM_CLASSES = "num_classes"
    BAD_GPU = "bad_gpu"
    GPU_OOM = "gpu_oom"
    SHM = "shm"
    HOST_OOM = "host_oom"
    DISK = "disk"
    NOT_UNPACKED = "not_unpacked"
    BAD_CHECKPOINT = "bad_checkpoint"
    MISSING_DATA = "missing_data"
    BATCH_TOO_LARGE = "batch_too_large"
    BAD_SPEC = "bad_spec"
    SELECTION = "selection"
    ARCHITECTURE = "architecture"
    SHAPE = "shape"
    DIVERGED = "diverged"
    NCCL = "nccl"
    PRECISION = "precision"
    GPU_RUNTIME = "gpu_runtime"
    GPU_IDS = "gpu_ids"
    REGISTRY_LOGIN = "registry_login"
    IMAGE_MISSING = "image_missing"
    NETWORK = "network"
    TEXT_ENCODER = "text_encoder"
    PERMISSION = "permission"
    ENCRYPTION_KEY = "encryption_key"
    PORT = "port"
    BAD_ANNOTATIONS = "bad_annotations"
    STORAGE = "storage"
    BROKEN_IMAGE = "broken_image"
    NO_METRIC = "no_metric"
    INTERRUPTED = "interrupted"
    CANCELLED = "cancelled"
    TIMEOUT = "timeout"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Row:
    """One cause: what the text then holds (regular expressions, case does not matter), and what helps."""

    reason: FailureReason
    patterns: tuple[str, ...]
    fix: str


@dataclass(frozen=True)
class Diagnosis:
    """A cause, the line that shows it (None if only the exit code does), and what helps."""

    reason: FailureReason
    line: str | None
    fix: str


R = FailureReason
TABLE: tuple[Row, ...] = (
    Row(
        R.NUM_CLASSES,
        (r"device-side assert triggered", r"\.cu:\d+.*Assertion .* failed"),
        "The class count is most likely too low: it must be at least the highest category id plus one.",
    ),
    Row(
        R.BAD_GPU,
        (
            r"\bXid\b",
            r"uncorrectable ECC",
            r"fallen off the bus",
            r"Unable to determine the device handle",
            r"unspecified launch failure",
        ),
        "The GPU is faulty: use another one and have this one checked.",
    ),
    Row(
        R.GPU_OOM,
        (
            r"CUDA out of memory",
            r"OutOfMemoryError",
            r"CUDNN_STATUS_ALLOC_FAILED",
            r"CUBLAS_STATUS_ALLOC_FAILED",
        ),
        "The GPU's memory is too small: lower the batch size, or free the GPU if others use it.",
    ),
    Row(
        R.SHM,
        (
            r"Bus error",
            r"out of shared memory",
            r"unable to (?:open|mmap|allocate) shared memory",
            r"No space left on device.*(?:/dev/shm|torch_)",
        ),
        "/dev/shm is too small for the loaders: give the container more shared memory, or use fewer workers.",
    ),
    Row(
        R.HOST_OOM,
        (
            r"OOMKilled\W+true",
            r"return code -9\b",
            r"DataLoader worker \(pid.*\) (?:is killed by signal: Killed|exited unexpectedly)",
        ),
        "The host ran out of memory: use fewer loader workers, or fewer trials at a time.",
    ),
    Row(
        R.DISK,
        (r"Errno 28\b", r"No space left on device", r"Disk quota exceeded"),
        "The disk is full: free room where results and checkpoints go.",
    ),
    Row(
        R.NOT_UNPACKED,
        (r"NotADirectoryError.*\.tar\.gz",),
        "The trainer was given an archive where it needs the unpacked folder.",
    ),
    Row(
        R.BAD_CHECKPOINT,
        (r"Checkpoint file not found",),
        "The checkpoint to start from is missing: name another one.",
    ),
    Row(
        R.MISSING_DATA,
        (r"FileNotFoundError", r"No such file or directory: '", r"does not exist!"),
        "A file that the spec names is missing: check the data paths, validation data included.",
    ),
    Row(
        R.BATCH_TOO_LARGE,
        (r"Dataset size \(\d+\) is smaller than the total batch size \(\d+\)",),
        "Batch size times GPUs is more than the smaller split has images: lower the batch size.",
    ),
    Row(
        R.BAD_SPEC,
        (
            r"Key '.*' not in '",
            r"could not be converted to",
            r"Missing ?Mandatory ?Value",
            r"ConfigKeyError",
            r"\bValidationError\b",
            r"Checkpoint interval \d+ >",
            r"Validation interval \d+ >",
            r"^Configuration error:",
        ),
        "The trainer refused the spec: correct the key that the line names.",
    ),
    Row(
        R.SELECTION,
        (r"selected index k out of range",),
        "More detections are selected than there are queries times classes: lower the number selected.",
    ),
    Row(
        R.ARCHITECTURE,
        (
            r"num_feature_levels: .* does not match",
            r"return_interm_indices",
            r"Backbone .* is not (?:implemented|supported)",
            r"Optimizer .* is not implemented",
            r"LR Scheduler .* is not implemented",
            r"^Feature not implemented:",
        ),
        "This combination of model parts is not supported: change the part that the line names.",
    ),
    Row(
        R.SHAPE,
        (
            r"mat1 and mat2 shapes cannot be multiplied",
            r"index .* is out of bounds for dimension",
            r"size mismatch for",
            r"Error\(s\) in loading state_dict",
        ),
        "Shapes do not fit: a checkpoint of another structure, or sizes in the spec that exclude each other.",
    ),
    Row(
        R.DIVERGED,
        (
            r"boxes1\[:, 2:\] >= boxes1\[:, :2\]",
            r"matrix contains invalid numeric entries",
            r"output layer_id .* is nan",
        ),
        "Training diverged: lower the learning rate, or train in full precision.",
    ),
    Row(
        R.NCCL,
        (
            r"Watchdog caught collective operation timeout",
            r"NCCL (?:WARN|error)",
            r"nccl(?:SystemError|RemoteError|UnhandledCudaError)",
            r"C10d store",
            r"RendezvousTimeoutError",
            r"DistNetworkError",
        ),
        "The GPUs lost each other: look for an earlier error of one rank, then try once more.",
    ),
    Row(
        R.PRECISION,
        (
            r"CUBLAS_STATUS_INTERNAL_ERROR",
            r"illegal memory access",
            r"Mixed-precision training .* is not supported on",
        ),
        "This GPU cannot run the kernels of this precision: set precision to fp32.",
    ),
    Row(
        R.GPU_RUNTIME,
        (
            r"could not select device driver",
            r"nvidia-container-cli",
            r"unknown or invalid runtime name: nvidia",
            r"Failed to initialize NVML",
            r"No supported gpu backend found",
            r"no CUDA-capable device",
            r"driver (?:version is insufficient|.*too old)",
            r"cannot set both Count and DeviceIDs",
        ),
        "Containers cannot reach a GPU on this machine: install or update driver and container toolkit.",
    ),
    Row(
        R.GPU_IDS,
        (r"You requested gpu: .* But your machine only has",),
        "The spec asks for GPUs that the job does not have: ids count from 0 inside the job.",
    ),
    Row(
        R.REGISTRY_LOGIN,
        (r"\bunauthorized\b", r"denied: requested access", r"authentication required"),
        "The registry refused the login: log in with a valid key before the next run.",
    ),
    Row(
        R.IMAGE_MISSING,
        (r"manifest unknown", r"manifest for .* not found", r"ImageNotFound", r"repository does not exist"),
        "There is no such container image: correct its name or tag.",
    ),
    Row(
        R.NETWORK,
        (
            r"toomanyrequests",
            r"TLS handshake timeout",
            r"i/o timeout",
            r"connection reset",
            r"context deadline exceeded",
            r"unexpected EOF",
        ),
        "The network failed while the image was fetched: try again.",
    ),
    Row(
        R.TEXT_ENCODER,
        (
            r"couldn't connect to 'https://huggingface\.co'",
            r"LocalEntryNotFoundError",
            r"Can't load tokenizer",
            r"offline mode",
        ),
        "The text encoder cannot be fetched: name a local folder with it in the spec.",
    ),
    Row(
        R.PERMISSION,
        (r"Errno 13\b", r"Permission denied", r"getpwuid\(\): uid not found"),
        "The container's user may not read or write there: check the owner of the folders.",
    ),
    Row(
        R.BAD_CHECKPOINT,
        (
            r"invalid file format; it must be either",
            r"PytorchStreamReader failed",
            r"failed finding central directory",
            r"UnpicklingError",
            r"EOFError: Ran out of input",
        ),
        "The checkpoint to start from is damaged: use an earlier one.",
    ),
    Row(
        R.ENCRYPTION_KEY,
        (r"Cannot access model state dict without the encryption key",),
        "The model is encrypted: set its encryption key in the spec.",
    ),
    Row(
        R.PORT,
        (r"Port \d+ is already in use", r"Address already in use", r"EADDRINUSE"),
        "Another process holds the port: try again.",
    ),
    Row(
        R.BAD_ANNOTATIONS,
        (r"KeyError: '(?:annotations|categories|images|bbox|area)'", r"\"ignore\" in COCO json file"),
        "The annotation file lacks what COCO asks for: check the key that the line names.",
    ),
    Row(
        R.STORAGE,
        (r"\b(?:NoSuchKey|NoSuchBucket|AccessDenied|SignatureDoesNotMatch|ExpiredToken)\b",),
        "The object store refused: check bucket, key and credentials.",
    ),
    Row(
        R.NO_METRIC,
        (r"checkpointer\.monitor=.* is not logged by this model",),
        "The spec watches a metric that the model does not report: name one that it does.",
    ),
    Row(
        R.BROKEN_IMAGE,
        (r"No module named", r"ImportError", r"undefined symbol"),
        "The image lacks a part of the trainer: use another image.",
    ),
)
_INTERRUPTED_FIX = "The job was stopped from outside: run it again."
_KILLED_FIX = "The job was killed, most often because the host ran out of memory: see the kernel's log."
_UNKNOWN_FIX = "Read the log, or run the job by hand with its run.sh."
_COMPILED = tuple(
    (row, re.compile("|".join(f"(?:{pattern})" for pattern in row.patterns), re.IGNORECASE | re.MULTILINE))
    for row in TABLE
)


def classify(log_tail: str, failures: Iterable[str], exit_code: int | None) -> Diagnosis:
    """The most likely cause of a failure.

    `failures` are the messages of FAILURE lines. They are hints: most errors write none, and a good run may
    hold one. Without a match the exit code decides: 130 and 143 (or -2, -15) are a stop from outside, 137 (or
    -9) a kill, 0 a trainer that ended before its time.
    """
    messages = list(failures)
    text = "\n".join([*messages, log_tail])
    for row, pattern in _COMPILED:
        lines = [_line_at(text, match.start()) for match in pattern.finditer(text)]
        if lines:
            # A traceback quotes the code that raised before it says what was raised.
            said = next((line for line in lines if not line.lstrip().startswith("raise ")), lines[0])
            return Diagnosis(row.reason, said, row.fix)
    if exit_code in (0, 130, 143, -2, -15):
        return Diagnosis(R.INTERRUPTED, None, _INTERRUPTED_FIX)
    if exit_code in (137, -9):
        return Diagnosis(R.HOST_OOM, None, _KILLED_FIX)
    line = one_line(messages[-1]) if messages else _last_raised(log_tail)
    return Diagnosis(R.UNKNOWN, line, _UNKNOWN_FIX)


def tail(path: Path, max_lines: int = 2000) -> list[str]:
    """The last lines of a log without colours and blank lines; none if there is no file.

    A progress bar ends its steps with a carriage return, so both kinds of line end count.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _TAIL_BYTES))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    lines = (line.strip() for line in re.split(r"[\r\n]+", _ANSI.sub("", text)))
    return [line for line in lines if line][-max_lines:]


def one_line(message: str) -> str:
    """A message as it is shown: on one line, and not longer than 500 characters."""
    return " ".join(message.split())[:500]


def _line_at(text: str, position: int) -> str:
    start = text.rfind("\n", 0, position) + 1
    end = text.find("\n", position)
    return one_line(text[start : end if end >= 0 else len(text)])


def _last_raised(log_tail: str) -> str | None:
    raised = [line for line in log_tail.splitlines() if _RAISED.match(line.strip())]
    return one_line(raised[-1]) if raised else None
