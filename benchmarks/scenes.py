"""How often the guided scenes keep their word: each act of each scene over many seeds, by the same measure as on the page.

Per seed: a healthy start, a collapse from step 0, and from the collapsed run at step 60 each rescue on its own.
`python -m benchmarks.scenes` (`--seeds 10 --scene clusters`). Fails where an act that is called sure holds in fewer than 9 of 10 seeds.
"""

from __future__ import annotations

import argparse
import statistics
import sys

import torch

from moe_viz.lessons.scenes import SCENES, Act, Scene, Watch
from moe_viz.training import Trainer

NEEDED = 0.9


def play(trainer: Trainer, act: Act, steps: int) -> Watch:
    """Train on, watched."""
    watch = Watch(act, trainer.epoch, trainer.step_number, trainer.config.n_experts)
    trainer.run(steps)
    watch.feed(trainer.history.rows(limit=None))
    return watch


def act_out(scene: Scene, seed: int, buffers: bool) -> dict[str, Watch]:
    """One seed's outcome of every act."""
    healthy = Trainer(scene.start(scene.healthy, seed, buffers, device="cpu"))
    found = {scene.healthy.name: play(healthy, scene.healthy, scene.healthy.within)}
    collapsing = Trainer(scene.start(scene.collapse, seed, buffers, device="cpu"))
    found[scene.collapse.name] = play(collapsing, scene.collapse, scene.collapse.within)
    collapsed = collapsing.checkpoint()
    for act in scene.rescues:
        trainer = Trainer.from_bytes(collapsed)
        trainer.set(**act.knobs)
        found[act.name] = play(trainer, act, act.within)
    return found


def report(scene: Scene, buffers: bool, seeds: int) -> list[str]:
    """Print a scene's counts; the sure acts that did not hold often enough."""
    outcomes = [act_out(scene, seed, buffers) for seed in range(seeds)]
    print(f"\n{scene.title}{', with buffers (capacity factor 1.25)' if buffers else ''}: {seeds} seeds")
    failed = []
    for act in (scene.healthy, scene.collapse, *scene.rescues):
        watches = [outcome[act.name] for outcome in outcomes]
        after = [watch.reached for watch in watches if watch.kept and watch.reached is not None]
        typical = f"median {statistics.median(after):3.0f} steps" if after and act.goal != "healthy" else ""
        promise = "" if act.sure else "(shown because it often fails)"
        print(
            f"  {act.name:<14} {act.goal:<9} within {act.within} steps: {len(after):2d} of {seeds}  {typical} {promise}"
        )
        if act.sure and len(after) < NEEDED * seeds:
            failed.append(f"{scene.name}: {act.name} {len(after)} of {seeds}")
    return failed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--scene", choices=list(SCENES), help="only this one")
    options = parser.parse_args()
    torch.set_num_threads(1)
    failed = []
    for scene in SCENES.values():
        if options.scene in (None, scene.name):
            for buffers in (False, True):
                failed += report(scene, buffers, options.seeds)
    if failed:
        sys.exit("too seldom: " + "; ".join(failed))


if __name__ == "__main__":
    main()
