"""Collect garbage on a slow timer. Streamlit's own collection after every fragment run is off (see `moe_viz/launch.py`)."""

from __future__ import annotations

import gc
import threading

SECONDS = 30

_starting = threading.Lock()
_timer: threading.Thread | None = None


def start() -> threading.Thread:
    """The timer of this process, started by the first call. Freezing what is loaded by then keeps each collection short."""
    global _timer
    with _starting:
        if _timer is None:
            gc.collect()
            gc.freeze()
            _timer = threading.Thread(target=_sweep, args=(threading.Event(),), name="garbage-collection", daemon=True)
            _timer.start()
        return _timer


def _sweep(stop: threading.Event) -> None:
    while not stop.wait(SECONDS):
        gc.collect()
