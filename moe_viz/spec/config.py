"""Config: what every kind of run is defined by. A run is a pure function of its config and of what was done in it.

A config has a *flat* form, one word per knob: widget keys, links, command-line options and live knobs are all those words.
`from_flat(flat(config)) == config`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic.fields import FieldInfo

from moe_viz.spec.knobs import Spec, is_live


class Config(Spec):
    """The base of `RunConfig` and `MixtureConfig`. kind: what a script calls this kind of run;  SOURCE: the word that names its data."""

    kind: ClassVar[Literal["network", "mixture"]]
    SOURCE: ClassVar[str]
    if TYPE_CHECKING:  # every kind has them, each with values of its own
        device: Any
        speed: Any
        n_experts: Any

    @property
    def source(self) -> str:
        """The name of its data, see `moe_viz.tasks.files`."""
        return self.flat()[self.SOURCE]

    @property
    def names(self) -> dict[str, str]:
        """What a log and an operator's list say of it: two words and their values."""
        raise NotImplementedError

    def flat(self) -> dict[str, Any]:
        """One word per knob, defaults included."""
        raise NotImplementedError

    @classmethod
    def from_flat(cls, values: dict[str, Any]) -> Self:
        """The config of a flat form. Raises ValueError on an unknown word or a bad value."""
        raise NotImplementedError

    def fields(self) -> dict[str, FieldInfo]:
        """Word -> declaration, for every word of `flat()`."""
        raise NotImplementedError

    def turned(self, knobs: dict[str, Any]) -> Self:
        """With some knobs (flat words) at other values. Raises ValueError on an unknown word or a bad value."""
        raise NotImplementedError

    def settled(self, device: str) -> Self:
        """With the device that `auto` stands for here."""
        return self

    def brought_along(self, old: Any) -> set[str]:
        """The words that belong to a part of this config which `old` has not: all of them are new, whatever their values."""
        return set()

    def made_anew(self, words: set[str]) -> set[str]:
        """Of the words that have changed those that are part of something which a running model gets anew: they ask for no restart."""
        return set()


def changed(old: Config, new: Config) -> set[str]:
    """Words whose value differs (words that only one of the two has count only through the part that brings them)."""
    before, after = old.flat(), new.flat()
    return {key for key in before.keys() & after.keys() if before[key] != after[key]}


def needs_restart(old: Config, new: Config) -> set[str]:
    """The changed words that cannot take effect in a running model."""
    fields, words = new.fields(), changed(old, new)
    return {key for key in words - new.made_anew(words) if not is_live(fields[key])}
