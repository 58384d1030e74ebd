"""A trainer that keeps the contract of a TAO container on a CPU: for trying things out and for tests.

It really learns a small detector from real COCO files, in numpy, and reports a true COCO mAP. It is no part of
any NVIDIA product and its networks only share the names of TAO's. See `python -m tao_automl.standin --help`.
The folder imports nothing from outside itself, so it also runs when it is copied elsewhere.
"""
