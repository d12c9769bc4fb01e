"""The device that a host computes on: what an error says of it, what it has free, and what can be given back. torch only where it is loaded."""

from __future__ import annotations

import gc
import sys
import traceback
from typing import Any

NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")


class DeviceLost(BaseException):
    """Nothing can be computed in this process any more: it must end, and a new one take over. No `except Exception` may keep it."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory, of the device or of the host, did not suffice."""
    return isinstance(error, MemoryError) or any(words in str(error).lower() for words in NO_MEMORY)


def is_lost(error: BaseException) -> bool:
    """Whether an error says that the device answers no more: after a device-side assert every later call fails as well."""
    return "CUDA error" in str(error) and not is_out_of_memory(error)


def let_go(error: BaseException | None) -> None:
    """Free what the frames of an error hold (a failed step's activations), and give the device what it has kept for later."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error.__traceback__ = None
        error = error.__cause__ or error.__context__
    gc.collect()
    torch = _torch()
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


def is_accelerator(trainer: Any) -> bool:
    """Whether a trainer computes elsewhere than on the host's processor."""
    return getattr(getattr(trainer, "device", None), "type", "cpu") != "cpu"


def finish(trainer: Any) -> None:
    """Wait until the device has done all that was asked of it: whatever is wrong with it is then found while its run is at work."""
    torch = _torch()
    if torch is not None and is_accelerator(trainer):
        (torch.mps if trainer.device.type == "mps" else torch.cuda).synchronize()


def kind_of(config: Any) -> str:
    """Where a run of this config computes: "cpu", "cuda" or "mps"; "cpu" where torch is not loaded or has no such device."""
    devices = sys.modules.get("moe_viz.training.devices")
    try:
        return devices.device_of(config).type if devices is not None else "cpu"
    except ValueError:
        return "cpu"


def room(share: float = 0.5) -> float:
    """Bytes of the CUDA device that one run may still take: this share of what is free; 0 where there is none."""
    found = memory()
    return share * found[0] if found is not None else 0.0


def memory() -> tuple[int, int] | None:
    """Free and total bytes of the CUDA device; None where there is none, or torch is not loaded."""
    torch = _torch()
    return torch.cuda.mem_get_info() if torch is not None and torch.cuda.is_available() else None


def _torch() -> Any:
    return sys.modules.get("torch")
