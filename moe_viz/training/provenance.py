"""What a run runs on: versions, kind of CPU, threads and data. Where two runs of one script agree in all of it, they are equal bit for bit."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
import torch

from moe_viz import __version__
from moe_viz.records.script import Provenance
from moe_viz.tasks.files import data_hashes


def provenance(device: torch.device, tasks: Iterable[str] = ()) -> Provenance:
    """What a run on this device and with these tasks runs on now."""
    return Provenance(
        version=__version__,
        torch=torch.__version__,
        numpy=np.__version__,
        cpu=cpu_kind(),
        device=device.type if device.type != "cuda" else f"cuda ({torch.cuda.get_device_name(device)})",
        threads=torch.get_num_threads(),
        data=data_hashes(tasks),
    )


@cache
def cpu_kind() -> str:
    """The processor's name, and the vector instructions that torch uses on it: both change how sums are rounded."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = (line.partition(":") for line in info.read_text(encoding="utf-8", errors="replace").splitlines())
        name = next((value.strip() for word, _, value in lines if word.strip() == "model name"), name)
    return f"{name} ({torch.backends.cpu.get_cpu_capability()})"


@contextmanager
def threads(count: int) -> Iterator[None]:
    """So many CPU threads inside the block: sums over several threads are rounded otherwise than over one."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
