"""What a reader chose, knob by knob: a switch to another gate brings it back wherever that gate allows it, and says what else it changes.

`change` alone knows only the config before: a value that one gate forced upon the run would be carried to all later ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from moe_viz.spec.describe import write
from moe_viz.spec.knobs import N_
from moe_viz.spec.run import CARRIED, RunConfig, change
from moe_viz.spec.sentence import Knobs, Sentence


@dataclass
class Chosen:
    """The gate options that a reader has chosen: those in `CARRIED` for all gates at once, the others each for its own gate."""

    values: dict[tuple[str | None, str], Any] = field(default_factory=dict)

    def learn(self, before: RunConfig, asked: dict[str, Any]) -> None:
        """The reader has turned these knobs of a run that had this config. A gate that is left keeps what it has, however it came to it."""
        if asked.get("router", before.router.name) != before.router.name:
            for word in type(before.router).model_fields.keys() - {"name"}:
                if word in CARRIED:
                    self.values.setdefault((None, word), getattr(before.router, word))
                else:
                    self.values[_key(before.router.name, word)] = getattr(before.router, word)
        for word in asked.keys() & type(before.router).model_fields.keys():
            self.values[_key(before.router.name, word)] = asked[word]

    def recall(self, config: RunConfig, asked: dict[str, Any]) -> dict[str, Any]:
        """The same knobs, and beside another gate what its options are to be. Raises ValueError where `change` does."""
        router = asked.get("router", config.router.name)
        if router == config.router.name:
            return asked
        known = Chosen(dict(self.values))
        known.learn(config, {"router": router})
        for word, info in type(change(config, **asked).router).model_fields.items():
            default = info.get_default(call_default_factory=True)
            own = known.values.get(_key(router, word), default)
            if word in asked or word == "name" or (own == default and word not in CARRIED):
                continue
            asked = asked | {word: own if _allowed(config, asked | {word: own}) else default}
        return asked


def turned_along(before: RunConfig, after: RunConfig, asked: dict[str, Any]) -> list[str]:
    """The words that a switch of the gate or the task has changed beside those that were asked for.

    Where both gates mean different things by one word, nothing was changed: it is another knob.
    """
    if before.task.name == after.task.name and before.router.name == after.router.name:
        return []
    old, new, was, fields = before.flat(), after.flat(), before.fields(), after.fields()
    shared = [word for word in fields if word in was and was[word].title == fields[word].title]
    return [word for word in shared if old[word] != new[word] and word not in (*asked, "router", "task")]


def side_changes(
    before: RunConfig, after: RunConfig, asked: dict[str, Any], show: Callable[[str, Any], str] | None = None
) -> Sentence | None:
    """What a switch of the gate or the task has changed beside what was asked; None where nothing. show: a word and its value, as a text."""
    switched = "task" if before.task.name != after.task.name else "router"
    old, new, fields = before.flat(), after.flat(), after.fields()
    show = show or (lambda _word, value: write(value))
    words = turned_along(before, after, asked)
    changes = [(fields[word].title or word, show(word, old[word]), show(word, new[word])) for word in words]
    texts = {"task": N_("The new task also changes: {changes}."), "router": N_("The new gate also changes: {changes}.")}
    return Sentence(texts[switched], changes=Knobs(changes)) if changes else None


def _allowed(config: RunConfig, knobs: dict[str, Any]) -> bool:
    try:
        change(config, **knobs)
    except ValueError:
        return False
    return True


def _key(router: str, word: str) -> tuple[str | None, str]:
    return (None if word in CARRIED else router), word
