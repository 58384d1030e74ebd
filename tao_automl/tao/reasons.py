"""The words for why a job failed, and for what is done about it."""

from __future__ import annotations

from enum import Enum


class FailureReason(str, Enum):
    """The cause of a failure, as stored and shown."""

    NUM_CLASSES = "num_classes"
    BAD_GPU = "bad_gpu"
    GPU_BUSY = "gpu_busy"
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
    HANG = "hang"
    LOST = "lost"
    CANCELLED = "cancelled"
    TIMEOUT = "timeout"
    UNKNOWN = "unknown"


class Reaction(str, Enum):
    """What a cause asks for. How often, and when a study ends by it, is decided in `recovery`."""

    RETRY = "retry"  # the same config in a new attempt
    ELSEWHERE = "elsewhere"  # a new attempt, not on this GPU or node where there is another
    CHANGE = "change"  # a new attempt with half the batch size
    INFEASIBLE = "infeasible"  # this config can never run
    ABORT = "abort"  # no config can run
    FAIL = "fail"  # this trial is over, and says nothing about others
