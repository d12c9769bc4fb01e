"""A Ray cluster of several nodes on one computer, for the demonstration, tests and benchmarks: `with nodes([1, 1]) as cluster`.

A process of its own starts the nodes (Ray reads its environment once, when it is imported) and ends them when its standard input
closes, however that comes about. All listen on 127.0.0.1 and ask for a token.
"""

# pyright: reportMissingImports=false
# (Ray is installed where it is used)

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from moe_viz.engine.cluster.connect import LOOPBACK, OBJECTS_BYTES


@dataclass
class Nodes:
    """engine: the value of MOE_VIZ_ENGINE that joins the cluster, for processes with this environment."""

    engine: str
    process: subprocess.Popen[str]

    def kill(self) -> None:
        """End the last node that is left besides the first, as a power cut would: no farewell."""
        self._order("kill")

    def add(self) -> None:
        """One more node, with one core."""
        self._order("add")

    def _order(self, order: str) -> None:
        print(order, file=self.process.stdin, flush=True)
        if _said(self.process) != "done":
            raise RuntimeError(f"the nodes could not do this: {order}")


@contextmanager
def nodes(cores: list[int]) -> Iterator[Nodes]:
    """One node per entry, with that many cores; the first is the head, which cannot be killed. The environment is ready to join it."""
    before = dict(os.environ)
    os.environ.update(
        LOOPBACK, RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32), RAY_USAGE_STATS_ENABLED="0"
    )
    command = [sys.executable, "-m", "moe_viz.engine.cluster.dev_nodes", *map(str, cores)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        address = _said(process)
        if not address:
            raise RuntimeError("Ray's nodes do not start here; `ray start --head` may say why")
        yield Nodes(f"ray:{address}", process)
    finally:
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
        os.environ.clear()
        os.environ.update(before)


def _said(process: subprocess.Popen[str]) -> str:
    """The next line that the process of the nodes prints; "" at its end."""
    assert process.stdout is not None, "started with pipes"
    return process.stdout.readline().strip()


def main() -> None:
    from ray.cluster_utils import Cluster

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever Ray prints
    frugal: dict[str, Any] = {
        "node_ip_address": "127.0.0.1",
        "object_store_memory": OBJECTS_BYTES,
        "include_log_monitor": False,
    }
    cores = [int(word) for word in sys.argv[1:]]
    head = frugal | {"num_cpus": cores[0], "include_dashboard": False, "no_monitor": True}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        added = [cluster.add_node(num_cpus=count, **frugal) for count in cores[1:]]
        print(cluster.address, file=answers, flush=True)
        for order in sys.stdin:
            if order.strip() == "kill":
                cluster.remove_node(added.pop(), allow_graceful=False)
            elif order.strip() == "add":
                added.append(cluster.add_node(num_cpus=1, **frugal))
            print("done", file=answers, flush=True)
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    main()
