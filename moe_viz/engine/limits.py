"""What a worker may use, and what its client tells it at its start. No torch, and nothing of how either of them works."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from moe_viz.settings import Settings

DEVICE_LOST = 75
"""Exit code of a worker whose device answers no more: a new one takes over at once."""


@dataclass(frozen=True)
class Limits:
    """What a host allows. max_runs: in memory at once. Unread runs pause after `lease_s` and leave memory after `release_s`.

    history_bytes: histories and keyframes of all runs together, shared out evenly; import_bytes: one exported run.
    model_bytes: models and optimisers of all runs together, and the most that one step may take on top; largest_step: multiply-adds of
    one step of one run. Both by the estimates of `worker.cost`.
    """

    max_runs: int = 64
    lease_s: float = 30.0
    release_s: float = 600.0
    checkpoint_s: float = 4.0
    slice_s: float = 0.004
    history_bytes: int = 300_000_000
    import_bytes: int = 12_000_000
    model_bytes: float = 1e9
    largest_step: float = 8e9


@dataclass(frozen=True)
class WorkerSettings:
    """What the client tells its worker. trainer: "module:Class"; store: directory of the checkpoints; device: what auto means; engine: as in
    the settings of the installation."""

    store: str
    trainer: str = "moe_viz.training:runs"
    limits: Limits = field(default_factory=Limits)
    store_bytes: int = 1_000_000_000
    threads: int = 1
    niceness: int = 10
    device: str = "auto"
    confined: bool = False
    """Whether it computes on the CPU whatever the machine has: an actor of a cluster that was given no GPU."""
    log_level: str = "info"
    log_format: str = "text"
    log_to: str = "file"
    engine: str = "local"

    @classmethod
    def of(cls, server: Settings, store: str | Path) -> WorkerSettings:
        """A worker's share of an installation's settings."""
        words = ("max_runs", "lease_s", "release_s", "checkpoint_s", "history_bytes", "model_bytes", "largest_step")
        limits = Limits(import_bytes=server.upload_bytes, **{name: getattr(server, name) for name in words})
        shared = ("store_bytes", "threads", "device", "engine", "log_level", "log_format", "log_to")
        return cls(str(store), limits=limits, **{name: getattr(server, name) for name in shared})
