"""A Ray cluster of several nodes on one machine: each raylet gives GPUs of its own and has a name of its own."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

QUICK = {
    "RAY_health_check_initial_delay_ms": "500",
    "RAY_health_check_period_ms": "500",
    "RAY_prestart_worker_first_driver": "0",  # else each driver gets workers that it never uses
}
HEAD = {"num_cpus": 0, "include_dashboard": False, "include_log_monitor": False, "no_monitor": True}


class Nodes:
    """A head without GPUs, and nodes with those of `gpus`: ids by node, separated by commas."""

    def __init__(self, gpus: Mapping[str, str], env: Mapping[str, str] | None = None) -> None:
        from ray.cluster_utils import Cluster

        self._gpus, self._env = gpus, dict(env or {})
        before = dict(os.environ)
        os.environ.update(QUICK)
        try:
            self._cluster = Cluster(initialize_head=True, head_node_args=HEAD)
            self._raylets = {name: self._add(name) for name in gpus}
        finally:
            os.environ.clear()
            os.environ.update(before)

    @property
    def address(self) -> str:
        return str(self._cluster.address)

    def _add(self, name: str) -> Any:
        ids = self._gpus[name]
        count = len(ids.split(","))
        env = {**self._env, "CUDA_VISIBLE_DEVICES": ids}
        return self._cluster.add_node(num_cpus=count, num_gpus=count, node_name=name, env_vars=env)

    def back(self, name: str) -> None:
        """A node that was away joins again."""
        self._raylets[name] = self._add(name)

    def kill(self, name: str) -> None:
        """As a machine that goes away: its raylet is killed, its workers with it. Jobs are no children of Ray's."""
        self._cluster.remove_node(self._raylets.pop(name), allow_graceful=False)

    def close(self) -> None:
        self._cluster.shutdown()
