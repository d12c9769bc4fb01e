"""How a process and its machine are: what the status page, the health check and the doctor report. No torch."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from moe_viz import __version__


def vitals() -> dict[str, Any]:
    """This process: pid, resident memory in MiB, seconds since its start."""
    process = psutil.Process()
    return {
        "pid": process.pid,
        "rss_mb": process.memory_info().rss / 2**20,
        "uptime_s": time.time() - process.create_time(),
    }


def machine(folder: Path) -> dict[str, Any]:
    """The machine: cores, its load over a minute (None where unknown), free and total memory and disk (of `folder`) in bytes."""
    memory_free, memory_total = memory()
    disk = shutil.disk_usage(folder)
    return {
        "host": platform.node(),
        "cores": psutil.cpu_count() or 1,
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "memory_free": memory_free,
        "memory_total": memory_total,
        "disk_free": disk.free,
        "disk_total": disk.total,
    }


def memory(group: Path = Path("/sys/fs/cgroup")) -> tuple[int, int]:
    """Free and total bytes; inside a container those that it may use (control groups 2 and 1)."""
    machine_wide = psutil.virtual_memory()
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            most, now = (int((group / name).read_text()) for name in (limit, used))
        except (OSError, ValueError):  # no such file, or "max": no limit
            continue
        if most < machine_wide.total:
            return min(max(most - now, 0), machine_wide.available), most
    return machine_wide.available, machine_wide.total


def versions() -> dict[str, str | None]:
    """What runs here; torch only where it has been loaded already."""
    torch = sys.modules.get("torch")
    return {"moe_viz": __version__, "python": platform.python_version(), "torch": torch and str(torch.__version__)}


def accelerators() -> list[str]:
    """Names of the GPUs that a worker of this process can use, with their memory; [] where there are none or torch is not loaded."""
    torch = sys.modules.get("torch")
    if torch is None:
        return []
    names = []
    for index in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(index)
        names.append(f"{torch.cuda.get_device_name(index)} ({free / 1e9:.1f} / {total / 1e9:.1f} GB)")
    return names + (["Apple GPU (mps)"] if torch.backends.mps.is_available() else [])
