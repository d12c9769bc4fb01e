"""Starting or joining a Ray cluster, closed to others, and saying in one sentence why that cannot be.

A cluster of our own listens on this machine alone and asks everybody for a token that only it knows. Of a cluster that we join, its
operator decides both. No usage statistics are sent anywhere, no dashboard is started.
"""

# pyright: reportMissingImports=false
# (Ray is installed where it is used)

from __future__ import annotations

import importlib.util
import logging
import os
import secrets
import socket
import threading
from collections.abc import Callable
from typing import Any

from moe_viz.engine.protocol import EngineError
from moe_viz.spec.knobs import N_

log = logging.getLogger(__name__)

PROBE_S = 3.0
CONNECT_S = 75.0
"""Ray itself would try for ever."""
OBJECTS_BYTES = 100_000_000
"""Shared memory for answers on their way; Ray takes at least 75 MB."""
LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""Ray's switch that keeps a cluster on 127.0.0.1: everywhere else it looks for an address that others can reach."""


class CannotConnect(EngineError):
    """Why there is no cluster: what was tried, and what can be done."""


def connect(engine: str, too_late: Callable[[CannotConnect], Any]) -> Any:
    """The `ray` module, connected. engine: as in the settings: ray (our own cluster, or that of RAY_ADDRESS), ray:auto (that of this
    machine), ray:HOST:PORT (this machine is part of that cluster), ray://HOST:PORT (it is not). Raises CannotConnect; too_late is called with
    one, from another thread, where Ray neither connects nor gives up."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    address = engine.removeprefix("ray").removeprefix(":") if engine != "ray" else os.environ.get("RAY_ADDRESS", "")
    if address.startswith("//"):
        address = f"ray:{address}"
    if not address:
        os.environ.update(LOOPBACK, RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32))
    if importlib.util.find_spec("ray") is None:
        raise CannotConnect(
            N_("MOE_VIZ_ENGINE={engine} needs Ray, which is not installed: pip install -r requirements-cluster.txt"),
            engine=engine,
        )
    if address and address != "auto":
        _probe(address)
    import ray
    import ray.util.scheduling_strategies

    hangs = N_("The Ray cluster at {address} does not let this machine in: nothing has happened for {seconds:.0f} s.")
    late = threading.Timer(CONNECT_S, lambda: too_late(CannotConnect(hangs, address=address, seconds=CONNECT_S)))
    late.daemon = True
    late.start()
    try:
        _init(ray, address)
    except Exception as error:
        raise CannotConnect(
            N_(
                "The Ray cluster at {address} cannot be joined: {reason}. Every machine needs the same Python, Ray and token."
            ),
            address=address or "127.0.0.1",
            reason=str(error).strip().partition("\n")[0].rstrip("."),
        ) from error
    finally:
        late.cancel()
    return ray


def _init(ray: Any, address: str) -> None:
    quiet = {"log_to_driver": False, "configure_logging": False}
    if address:
        ray.init(address=address, **quiet)
        return
    cores = os.cpu_count() or 1
    ray.init(address="local", num_cpus=cores, include_dashboard=False, object_store_memory=OBJECTS_BYTES, **quiet)


def _probe(address: str) -> None:
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=PROBE_S):
            return
    except (OSError, ValueError, OverflowError) as error:
        raise CannotConnect(
            N_(
                "No Ray cluster answers at {address} ({reason}; tried for {seconds:.0f} s). Start one there with `ray start --head`, "
                "open its ports to this machine, or correct MOE_VIZ_ENGINE."
            ),
            address=address,
            reason=getattr(error, "strerror", None) or str(error),
            seconds=PROBE_S,
        ) from error
