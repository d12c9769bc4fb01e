"""Answers to what a reader has given, remembered: a page sends the same text or picture again with every look."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, TypeVar

from moe_viz.engine.protocol import InputRefused

T = TypeVar("T")
MOST = 4
"""Inputs remembered of one run: a text and a picture of two pages each."""


Key = tuple[str, bytes]


def key_of(kind: str, given: str | bytes) -> Key:
    """By what an input is known again; it is not kept itself. Raises TypeError for what is neither text nor bytes."""
    return kind, sha256(given.encode("utf-8", "surrogatepass") if isinstance(given, str) else given).digest()


@dataclass(frozen=True)
class _Answer:
    version: Any
    config: Any
    value: Any = None
    refusal: InputRefused | None = None


class Answers:
    """Of one run."""

    def __init__(self) -> None:
        self._answers: dict[Key, _Answer] = {}

    def to(self, key: Key, version: Any, config: Any, work: Callable[[], T]) -> T:
        """What `work` says of an input. It works again when the run's version is another; a refusal stands as long as its config does,
        because training makes no file readable. Any other error is not about the input and is not remembered."""
        known = self._answers.pop(key, None)
        if known is None or (known.config != config if known.refusal else known.version != version):
            known = self._work(version, config, work)
        self._answers[key] = known
        for oldest in list(self._answers)[:-MOST]:
            del self._answers[oldest]
        if known.refusal is not None:
            raise known.refusal.with_traceback(None)
        return known.value

    @staticmethod
    def _work(version: Any, config: Any, work: Callable[[], Any]) -> _Answer:
        try:
            return _Answer(version, config, work())
        except InputRefused as refusal:
            return _Answer(version, config, refusal=refusal)
