"""What the page Sizes keeps of a session: the part in view, what memory is asked about, and the reader's own system as it was typed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from moe_viz.records.model_size import ModelSize
from moe_viz.spec import RunConfig
from moe_viz.spec.knobs import N_
from moe_viz.systems import SYSTEMS, System
from moe_viz.systems.live import chosen, live_system
from moe_viz.systems.own import system_of, texts_of
from moe_viz.ui.i18n import _, language
from moe_viz.ui.session import address

STATE = "sizes"
PARTS = {
    "sizes": N_("All systems"),
    "own": N_("Your own"),
    "cards": N_("Cards"),
    "worked": N_("Worked through"),
}
FIRST = "DeepSeek-V3"
BITS = (32, 16, 8, 4)
EXPERT_BITS = ("same", 8, 4.25, 4)
RESIDENT = ("all", 128, 64, 32, 16, 8, 4, 2, 1)
CONTEXT = (0, 4096, 32768, 131072)
RANKS = (1, 2, 4, 8, 16, 32, 64, 128)
OWN_WORD = "own"
LONGEST = 1500
"""Characters of a link's word for an own system that are read."""


@dataclass
class Memory:
    """What is asked of memory. bits: of one number; expert_bits: in routed experts; resident: experts of each layer in memory;
    context: tokens whose keys and values are kept; ranks: devices over which a layer's experts are spread."""

    bits: int = 16
    expert_bits: str | float = "same"
    resident: str | int = "all"
    context: int = 4096
    ranks: int = 8

    @property
    def bytes(self) -> float:
        return self.bits / 8

    @property
    def expert_bytes(self) -> float:
        return self.bytes if self.expert_bits == "same" else float(self.expert_bits) / 8

    def experts(self, system: System) -> int | None:
        """Resident experts of a layer; None: all."""
        return None if self.resident == "all" else min(int(self.resident), system.experts)


@dataclass(frozen=True)
class Live:
    """The live model of the lab. k_is_fixed: how many experts a token meets does not vary."""

    size: ModelSize
    system: System
    k_is_fixed: bool

    @classmethod
    def of(cls, config: RunConfig, size: ModelSize) -> Live:
        return cls(size, live_system(config, size), chosen(config) is not None)


@dataclass
class Sizes:
    """The page of one session. base: the system that the own one began from; texts: each field as typed; yaml: the pasted text."""

    part: str = "sizes"
    system: str = FIRST
    base: str = "Mixtral-8x7B"
    texts: dict[str, str] = field(default_factory=dict)
    yaml: str = ""
    memory: Memory = field(default_factory=Memory)
    live: Live | None = None
    live_of: tuple[Any, ...] | None = None

    def __post_init__(self) -> None:
        self.texts = self.texts or texts_of(SYSTEMS[self.base])

    @property
    def own(self) -> tuple[System | None, dict[str, str]]:
        """The reader's system, and what is wrong with what was typed: field -> sentence."""
        return system_of(self.texts, _)

    def begin_from(self, base: str) -> None:
        """Start the own system anew from a published one."""
        self.base, self.texts = base, texts_of(SYSTEMS[base])

    @property
    def own_word(self) -> str:
        """The changes as a word of an address; "" where they are too long for one."""
        word = "~".join(f"{name}:{text.strip()}" for name, text in self.changes.items())
        return word if len(word) <= LONGEST else ""

    @property
    def changes(self) -> dict[str, str]:
        """Fields that were typed otherwise than in the system that the own one began from."""
        first = texts_of(SYSTEMS[self.base])
        return {name: text for name, text in self.texts.items() if text.strip() != first.get(name, "")}


def session_sizes() -> Sizes:
    """The session's page; the first call, and Back and Forward, make it as the address says."""
    asked = address.gone_to()
    if STATE not in st.session_state or asked is not None:
        old: Sizes | None = st.session_state.get(STATE)
        found = from_address(address.read() if asked is None else asked, old)
        st.session_state[STATE] = found
    return st.session_state[STATE]


def from_address(params: Mapping[str, str], old: Sizes | None = None) -> Sizes:
    """The page that an address asks for; words that cannot be used leave what is usual."""
    found = Sizes() if old is None else old
    if params.get("part") in PARTS:
        found.part = params["part"]
    if params.get("system") in SYSTEMS:
        found.system = params["system"]
    too_long = bool(found.changes) and not found.own_word  # no address can hold it: it stays as typed
    if (params.get("base") in SYSTEMS or OWN_WORD in params) and not too_long:
        found.begin_from(params["base"] if params.get("base") in SYSTEMS else found.base)
        for pair in params.get(OWN_WORD, "")[:LONGEST].split("~"):
            name, colon, text = pair.partition(":")
            if colon and name in System.model_fields:
                found.texts[name] = text
    return found


def write_address(page: Sizes) -> None:
    """Keep the address bar in step."""
    words = {"part": page.part, "system": page.system, "base": page.base}
    own = {OWN_WORD: page.own_word} if page.own_word else {}
    address.write({"v": "1", "lang": language(), **words, **own})
