"""How often the course's exercises keep their word: every reference and every wrong solution over many seeds, by real training.

`python -m benchmarks.course` (`--seeds 0-9,10-19 --lesson 3`). Prints, for each set of seeds, in how many the reference solved and each wrong
solution failed; fails where one of them holds in fewer than 9 of 10. An exercise that does not is changed, and judged on other seeds.
"""

from __future__ import annotations

import argparse
import statistics
import sys

import torch

from moe_viz.course import Starts, play
from moe_viz.lessons import load
from moe_viz.lessons.model import Exercise

NEEDED = 0.9


def seeds_of(text: str) -> list[int]:
    """Of "0-9" or "3"."""
    first, _, last = text.partition("-")
    return list(range(int(first), int(last or first) + 1))


def report(exercise: Exercise, seeds: list[int]) -> list[str]:
    """Print one exercise's counts over a set of seeds; what held too seldom."""
    solved: list[int] = []
    failed = dict.fromkeys((wrong.name for wrong in exercise.wrong), 0)
    for seed in seeds:
        starts = Starts()  # of one seed: a checkpoint of each would fill the memory
        at = play(exercise, exercise.reference, seed, starts).solved
        solved += [] if at is None else [at]
        for wrong in exercise.wrong:
            failed[wrong.name] += play(exercise, wrong, seed, starts).solved is None
    steps = f"at {min(solved)}/{statistics.median(solved):.0f}/{max(solved)} steps" if solved else ""
    wrongs = "; ".join(f"{name}: {count} of {len(seeds)} failed" for name, count in failed.items())
    print(f"  {exercise.id:<5} reference {len(solved):2d} of {len(seeds)} solved {steps:<22} {wrongs}", flush=True)
    counts = {exercise.reference.name: len(solved), **failed}
    return [
        f"{exercise.id}: {name} {count} of {len(seeds)}"
        for name, count in counts.items()
        if count < NEEDED * len(seeds)
    ]


def main() -> str | None:
    """What held in fewer than nine seeds of ten, if anything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="0-9,10-19", help="sets of seeds, each judged by itself (0-9,10-19)")
    parser.add_argument("--lesson", type=int, nargs="*", help="only these lessons")
    parser.add_argument("--only", nargs="*", help="only these exercises")
    args = parser.parse_args()
    torch.set_num_threads(1)
    wrong = []
    for text in args.seeds.split(","):
        print(f"\nseeds {text}")
        for lesson in load("en"):
            for exercise in lesson.exercises:
                if (not args.lesson or lesson.number in args.lesson) and (not args.only or exercise.id in args.only):
                    wrong += report(exercise, seeds_of(text))
    return "; ".join(wrong) or None


if __name__ == "__main__":
    sys.exit(main())
