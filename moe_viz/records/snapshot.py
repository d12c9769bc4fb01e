"""Snapshot: everything a page needs to draw one moment of a run. Plain Python and numpy; crosses the process border."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from moe_viz.records.trace import RoutingTrace


@dataclass(frozen=True)
class Snapshot:
    """One moment of a run.

    step       training steps done;  config  the run's flat config (`RunConfig.flat()`) at that moment
    metrics    DESIGN 4.2 keys: scalars, or one entry per layer (`load`: [L][E])
    traces     one RoutingTrace of the probe batch per layer
    state      "running", "paused", "diverged", "failed" (an error stopped it), "recorded"
    message    what the reader must know (why it stopped, what was restarted), or ""
    extras     task- and router-specific displays: `bias` [L][E], probe images, ... ; keys documented by whoever fills them
    """

    step: int
    config: dict[str, Any]
    metrics: dict[str, Any]
    traces: list[RoutingTrace]
    state: str = "running"
    message: str = ""
    extras: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Continuation:
    """Text written by the run's language model: its routing, one trace per layer (prompt and generated tokens), and where the generated part begins.

    prompt_tokens  how many of the traces' tokens are the prompt;  text  the generated part
    """

    traces: list[RoutingTrace]
    prompt_tokens: int
    text: str
