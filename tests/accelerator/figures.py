"""`python -m tests.accelerator.figures`: what docs/gpu.md wants to know of a real card, with its name and the date."""

from __future__ import annotations

import sys
import time
from datetime import date

import torch

from moe_viz.spec import RunConfig
from moe_viz.training import Trainer

RUNS = {
    "default lab": {},
    "d 256, E 64, block 256": {
        "task": "domains", "d_model": 256, "d_hidden": 512, "n_experts": 64, "block": 256, "batch_tokens": 4096,
    },
}  # fmt: skip
STEPS = 20


def step_ms(device: str, knobs: dict) -> float:
    """Mean milliseconds of a step, the device's work included."""
    trainer = Trainer(RunConfig.from_flat(knobs | {"device": device}))
    trainer.run(3)
    started = time.perf_counter()
    trainer.run(STEPS)
    return 1000 * (time.perf_counter() - started) / STEPS


def main() -> int:
    if not torch.cuda.is_available():
        print("no CUDA device here", file=sys.stderr)
        return 1
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, {date.today()}")
    for name, knobs in RUNS.items():
        cpu, cuda = step_ms("cpu", knobs), step_ms("cuda", knobs)
        print(f"{name}: a step takes {cuda:.1f} ms on the card, {cpu:.1f} ms on the CPU ({cpu / cuda:.1f} times)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
