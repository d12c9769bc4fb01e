"""Verdicts: the sentence of each layer of one run, kept calm. A verdict stays at least `STAYS_S`, and leaving it takes more than a sign that
hovers at a threshold (`narration.SLACK`). No clock in here: who feeds it says what time it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import pandas as pd

from moe_viz.records.narration import STRUCTURAL, Story, n_layers, signs_of, story_of
from moe_viz.records.snapshot import Snapshot

STAYS_S = 2.0
"""Seconds for which a verdict stays at least."""
TROUBLE = ("warning", "bad")
"""Severities that put a badge on the tab of a layer that is not shown."""


class _Given(NamedTuple):
    story: Story
    since: float


@dataclass
class Verdicts:
    """The verdicts of one run from one (re)start on: make a new one for another run or epoch. Feed it each moment that is shown."""

    _given: dict[int, _Given] = field(default_factory=dict)

    def feed(self, now: float, snapshot: Snapshot, history: pd.DataFrame | None = None) -> list[Story]:
        """One story per layer at the time `now` (seconds of any clock that rises).

        The numbers in a story are those of now as long as its kind is what is measured; for the rest of its time they stay
        those of the last moment at which it was.
        """
        stories = []
        for layer in range(n_layers(snapshot)):
            given = self._given.get(layer)
            story = story_of(signs_of(snapshot, history, layer, given.story.kind if given else ""))
            if given is None or story.kind == given.story.kind:
                self._given[layer] = _Given(story, now if given is None else given.since)
            elif {story.kind, given.story.kind} & set(STRUCTURAL) or now - given.since >= STAYS_S:
                self._given[layer] = _Given(story, now)
            stories.append(self._given[layer].story)
        return stories


def in_trouble(stories: list[Story], shown: int) -> list[int]:
    """The layers (from 0) other than the one shown whose verdict is a warning or worse: their tabs get a badge."""
    return [layer for layer, story in enumerate(stories) if layer != shown and story.severity in TROUBLE]
