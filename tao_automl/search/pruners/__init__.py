"""Pruners: one file each, the file's name is the pruner's name."""
