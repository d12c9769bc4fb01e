"""What the trainer adds to a bare training loop: live knobs, statistics, random streams, checkpoints. `python -m benchmarks.trainer`.

The bare loop has the same batches, model, losses, clipping and AdamW, written out in ten lines. Both are timed in turns by the CPU
clock of one thread, and the ratio is the median over the turns, so that a busy machine does not decide it.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from benchmarks.table import Row, show
from moe_viz.models import build_model
from moe_viz.spec import RunConfig
from moe_viz.tasks import make_task
from moe_viz.training import Trainer
from moe_viz.training.step import BETAS, CLIP_NORM, WEIGHT_DECAY

LIMIT = 1.15
STEPS = 25


def bare(config: RunConfig) -> Callable[[int], None]:
    """A loop with nothing but the training in it."""
    task = make_task(config, torch.device("cpu"))
    model = build_model(config, task)
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.lr, betas=BETAS, weight_decay=WEIGHT_DECAY, fused=True)
    done = 0

    def run(steps: int) -> None:
        nonlocal done
        for _ in range(steps):
            batch = task.train_batch(done, config.seed)
            optimizer.zero_grad(set_to_none=True)
            loss, _ = task.loss(model(batch), batch)
            balance = sum(routing.aux["balance"] for routing in model.routings) / len(model.routings)
            (loss + config.balance_coef * balance).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
            optimizer.step()
            done += 1

    return run


def timed(run: Callable[[int], None]) -> float:
    start = time.thread_time()
    run(STEPS)
    return (time.thread_time() - start) / STEPS


def ratio(config: RunConfig, turns: int) -> tuple[float, float, float]:
    """(trainer / bare, bare ms, snapshot ms)"""
    plain, trainer = bare(config), Trainer(config)
    timed(plain)
    timed(trainer.run)
    pairs = [(timed(trainer.run), timed(plain)) for _ in range(turns)]
    start = time.thread_time()
    for _ in range(5):
        trainer.run(1)
        trainer.snapshot()
    looking = (time.thread_time() - start) / 5
    step = statistics.median(ours for ours, _ in pairs)
    return (
        statistics.median(ours / theirs for ours, theirs in pairs),
        1000 * statistics.median(theirs for _, theirs in pairs),
        1000 * (looking - step),
    )


def main(turns: int) -> None:
    torch.set_num_threads(1)
    rows = []
    for task in ("clusters", "digits", "photo", "domains"):
        value, step, looking = ratio(RunConfig(task=task, device="cpu"), turns)
        rows.append(Row(f"{task}: step", value * step, "ms", value))
        rows.append(Row(f"{task}: snapshot", looking, "ms", looking / step))
    show(f"Trainer against a bare loop's step (a step's ratio at most {LIMIT}; a snapshot in bare steps)", rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="turns of both loops")
    main(parser.parse_args().rounds)
