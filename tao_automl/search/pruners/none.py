"""No trial is stopped early."""

from __future__ import annotations

from optuna.pruners import BasePruner, NopPruner


def make(epochs: int, direction: str) -> BasePruner:  # noqa: ARG001 nothing to decide
    return NopPruner()
