"""Hyperparameter tuning for NVIDIA TAO models."""

__version__ = "0.1.0"
