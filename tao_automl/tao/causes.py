"""Why jobs fail: one table of what containers and engines write, what it means, and what is done about it.

Rows are tried from the top and the first that matches anywhere wins, because a cause is often followed by louder
consequences: after a device-side assert each CUDA call fails, and a broken GPU ends in a traceback of the trainer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tao_automl.tao.reasons import FailureReason, Reaction


@dataclass(frozen=True)
class Row:
    """One cause: what the text then holds (regular expressions, case does not matter), and what helps.

    `at_start`: only what an engine says when it cannot start a job is searched, because in the log of a trainer
    the same words mean something else. `holds` judges a line that matches.
    """

    reason: FailureReason
    reaction: Reaction
    patterns: tuple[str, ...]
    fix: str
    at_start: bool = False
    holds: Callable[[str], bool] | None = None


_SIZE = r"([\d.]+) ?([KMGT]?i?B|bytes)"
_UNITS = {"bytes": 2.0**-30, "B": 2.0**-30, "K": 2.0**-20, "M": 2.0**-10, "G": 1.0, "T": 2.0**10}
_EXACT_GIB, _ESTIMATED_GIB = 1.0, 3.0  # a desktop's share · and contexts and libraries, which are not listed


def held_by_others(line: str) -> bool:
    """True if an out-of-memory line says that a good part of the GPU is held by other processes.

    PyTorch lists processes by the ids of the host. Inside a container it does not find itself among them, and
    calls itself "Process N": then what is neither free nor its own is what others hold.
    """
    listed = _gib(rf"\bProcess \d+ has {_SIZE} memory in use", line)
    if _gib(rf"this process has {_SIZE}", line):
        return sum(listed) >= _EXACT_GIB
    total, free = _gib(rf"total capacity of {_SIZE}", line), _gib(rf"of which {_SIZE} is free", line)
    own = _gib(rf"{_SIZE} is (?:allocated|reserved) by PyTorch", line)
    if total and free and own:
        return total[0] - free[0] - sum(own) >= _ESTIMATED_GIB
    return bool(listed)


def _gib(pattern: str, line: str) -> list[float]:
    found = re.findall(pattern, line, re.IGNORECASE)
    return [float(number) * _UNITS["bytes" if unit.lower() == "bytes" else unit[0].upper()] for number, unit in found]


R, X = FailureReason, Reaction
STORE_AWAY = r"S3 endpoint \S.* does not answer for s3://|the connection to s3://\S.* is cut again"  # our own words
STORE_REFUSES = r"(?:no (?:bucket '.*' for )?|credentials for |refused for )s3://|s3://.* (?:has changed|is denied)"
TABLE: tuple[Row, ...] = (
    Row(
        R.NUM_CLASSES,
        X.ABORT,
        (r"device-side assert triggered", r"\.cu:\d+.*Assertion .* failed"),
        "The class count is most likely too low: it must be at least the highest category id plus one.",
    ),
    Row(
        R.BAD_GPU,
        X.ELSEWHERE,
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
        R.GPU_BUSY,
        X.ELSEWHERE,
        (r"\bProcess \d+ has [\d.]+ ?\w+ memory in use",),
        "Another process holds this GPU's memory: end it, or leave this GPU out.",
        holds=held_by_others,
    ),
    Row(
        R.GPU_OOM,
        X.CHANGE,
        (r"CUDA out of memory", r"OutOfMemoryError", r"CUDNN_STATUS_ALLOC_FAILED", r"CUBLAS_STATUS_ALLOC_FAILED"),
        "The GPU's memory is too small: lower the batch size, or free the GPU if others use it.",
    ),
    Row(
        R.SHM,
        X.INFEASIBLE,
        (
            r"Bus error",
            r"out of shared memory",
            r"unable to (?:open|mmap|allocate) shared memory",
            r"No space left on device.*(?:/dev/shm|torch_)",
        ),
        "/dev/shm is too small for the loaders: give containers more (--shm-size), or use fewer workers.",
    ),
    Row(
        R.HOST_OOM,
        X.RETRY,
        (
            r"OOMKilled\W+true",
            r"return code -9\b",
            r"DataLoader worker \(pid.*\) (?:is killed by signal: Killed|exited unexpectedly)",
        ),
        "The host ran out of memory: use fewer loader workers, or fewer trials at a time (--parallel).",
    ),
    Row(
        R.DISK,
        X.ELSEWHERE,
        (r"no space left on device", r"disk quota exceeded"),
        "The engine's disk on this node is full: remove images and containers that nobody needs.",
        at_start=True,
    ),
    Row(
        R.DISK,
        X.RETRY,
        (r"Errno 28\b", r"No space left on device", r"Disk quota exceeded"),
        "The disk is full: free room where results and checkpoints go, then resume.",
    ),
    Row(
        R.NOT_UNPACKED,
        X.ABORT,
        (r"NotADirectoryError.*\.tar\.gz",),
        "The trainer was given an archive where it needs the unpacked folder.",
    ),
    Row(
        R.BAD_CHECKPOINT,
        X.ABORT,
        (r"Checkpoint file not found",),
        "The checkpoint to start from is missing: name another one.",
    ),
    Row(
        R.MISSING_DATA,
        X.ELSEWHERE,
        (r"bind source path does not exist", r"error while creating mount source path"),
        "A folder is not on this node: data, checkpoints and results must lie at the same path on every node.",
        at_start=True,
    ),
    Row(
        R.MISSING_DATA,
        X.ABORT,
        (r"FileNotFoundError", r"No such file or directory: '", r"does not exist!"),
        "A file that the spec names is missing: check the data paths, validation data included.",
    ),
    Row(
        R.BATCH_TOO_LARGE,
        X.INFEASIBLE,
        (r"Dataset size \(\d+\) is smaller than the total batch size \(\d+\)",),
        "Batch size times GPUs is more than the smaller split has images: lower the batch size.",
    ),
    Row(
        R.BAD_SPEC,
        X.INFEASIBLE,
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
        X.INFEASIBLE,
        (r"selected index k out of range",),
        "More detections are selected than there are queries times classes: lower the number selected.",
    ),
    Row(
        R.ARCHITECTURE,
        X.INFEASIBLE,
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
        X.INFEASIBLE,
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
        X.INFEASIBLE,
        (
            r"boxes1\[:, 2:\] >= boxes1\[:, :2\]",
            r"matrix contains invalid numeric entries",
            r"output layer_id .* is nan",
        ),
        "Training diverged: lower the learning rate, or train in full precision.",
    ),
    Row(
        R.NCCL,
        X.RETRY,
        (
            r"Watchdog caught collective operation timeout",
            r"NCCL (?:WARN|error)",
            r"nccl(?:SystemError|RemoteError|UnhandledCudaError)",
            r"C10d store",
            r"RendezvousTimeoutError",
            r"DistNetworkError",
        ),
        "The GPUs lost each other: look for an earlier error of one rank, and check the links between them.",
    ),
    Row(
        R.PRECISION,
        X.INFEASIBLE,
        (
            r"CUBLAS_STATUS_INTERNAL_ERROR",
            r"illegal memory access",
            r"Mixed-precision training .* is not supported on",
        ),
        "This GPU cannot run the kernels of this precision: set precision to fp32.",
    ),
    Row(
        R.GPU_RUNTIME,
        X.ELSEWHERE,
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
        X.ABORT,
        (r"You requested gpu: .* But your machine only has",),
        "The spec asks for GPUs that the job does not have: ids count from 0 inside the job.",
    ),
    Row(
        R.REGISTRY_LOGIN,
        X.ABORT,
        (r"\bunauthorized\b", r"denied: requested access", r"authentication required", r"no basic auth credentials"),
        "The registry refused the login: log in with a valid key before the next run.",
        at_start=True,
    ),
    Row(
        R.IMAGE_MISSING,
        X.ELSEWHERE,
        (r"No such image", r"is not on node .* never to be pulled"),
        "The image is not on this node: pull it there, or let it be pulled (--image-policy missing).",
        at_start=True,
    ),
    Row(
        R.IMAGE_MISSING,
        X.ABORT,
        (r"manifest unknown", r"manifest for .* not found", r"ImageNotFound", r"repository .*does not exist"),
        "There is no such container image: correct its name or tag (--image).",
        at_start=True,
    ),
    Row(
        R.INTERRUPTED,
        X.RETRY,
        (r"stopped before it started",),
        "The job was stopped from outside: run it again.",
        at_start=True,
    ),
    Row(
        R.LOST,
        X.ELSEWHERE,
        (r"No such container", r"cannot connect to the docker daemon", r"marked for removal", r"did not come back"),
        "The container is gone, or its engine is: check this node.",
        at_start=True,
    ),
    Row(
        R.NETWORK,
        X.RETRY,
        (
            r"toomanyrequests",
            r"TLS handshake timeout",
            r"i/o timeout",
            r"connection (?:reset|refused)",
            r"context deadline exceeded",
            r"unexpected EOF",
            r"no such host",
            r"temporary failure in name resolution",
        ),
        "The network failed while the image was fetched: check it, or pull the image beforehand.",
        at_start=True,
    ),
    Row(
        R.TEXT_ENCODER,
        X.ABORT,
        (r"connect to 'https://huggingface", r"LocalEntryNotFoundError", r"Can't load tokenizer", r"offline mode"),
        "The text encoder cannot be fetched: name a local folder with it in the spec.",
    ),
    Row(
        R.ENCRYPTION_KEY,
        X.ABORT,
        (r"Cannot access model state dict without the encryption key",),
        "The model is encrypted: set its encryption key in the spec.",
    ),
    Row(
        R.PERMISSION,
        X.ELSEWHERE,
        (r"permission denied while trying to connect", r"dial unix .*permission denied"),
        "This node's user may not use its engine: add the user to the engine's group there.",
        at_start=True,
    ),
    Row(
        R.PERMISSION,
        X.ABORT,
        (r"Errno 13\b", r"Permission denied", r"getpwuid\(\): uid not found"),
        "The container's user may not read or write there: check the owner of the folders.",
    ),
    Row(
        R.BAD_CHECKPOINT,
        X.RETRY,
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
        R.PORT,
        X.RETRY,
        (r"Port \d+ is already in use", r"port is already allocated", r"Address already in use", r"EADDRINUSE"),
        "Another process holds the port: free it, or leave the port to the trainer.",
    ),
    Row(
        R.BAD_ANNOTATIONS,
        X.ABORT,
        (r"KeyError: '(?:annotations|categories|images|bbox|area)'", r"\"ignore\" in COCO json file"),
        "The annotation file lacks what COCO asks for: check the key that the line names.",
    ),
    Row(
        R.NETWORK,
        X.RETRY,
        (r"\bSlowDown\b|Max retries exceeded with url", r"(?:timeout on|not connect to the) endpoint URL", STORE_AWAY),
        "The network or the object store failed while data was fetched: check it, then resume.",
    ),
    Row(
        R.STORAGE,
        X.ABORT,
        (r"\b(?:NoSuchKey|NoSuchBucket|AccessDenied|SignatureDoesNotMatch|ExpiredToken)\b", STORE_REFUSES),
        "The object store refused: check bucket, key and credentials.",
    ),
    Row(
        R.NO_METRIC,
        X.ABORT,
        (r"checkpointer\.monitor=.* is not logged by this model",),
        "The spec watches a metric that the model does not report: name one that it does.",
    ),
    Row(
        R.BROKEN_IMAGE,
        X.ABORT,
        (r"No module named", r"ImportError", r"undefined symbol", r"executable file not found"),
        "The image lacks a part of the trainer: use another image (--image).",
    ),
)
WITHOUT_TEXT: Mapping[FailureReason, Row] = {  # what an exit code, a clock or a missing container says
    row.reason: row
    for row in (
        Row(R.INTERRUPTED, X.RETRY, (), "The job was stopped from outside: run it again."),
        Row(R.HANG, X.RETRY, (), "Nothing was heard of it for too long (--hang-timeout): see the log's last lines."),
        Row(R.LOST, X.ELSEWHERE, (), "Its machine or container is gone: check the node."),
        Row(R.TIMEOUT, X.FAIL, (), "It took longer than a trial may (--trial-timeout): allow more time."),
        Row(R.NO_METRIC, X.FAIL, (), "Name a metric that the model reports (--metric), or see the log."),
        Row(R.CANCELLED, X.FAIL, (), "It was stopped by the user: run it again."),
        Row(
            R.HOST_OOM,
            X.RETRY,
            (),
            "It was killed, most often because the host ran out of memory: see the kernel's log.",
        ),
        Row(R.UNKNOWN, X.RETRY, (), "Read the log, or run the job by hand with its run.sh."),
    )
}
