"""What a newcomer sees in the lab's picture, in one line made from the settings of that very picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from moe_viz.spec.knobs import N_

# fmt: off
LINES = {
    "letter": {
        "one": N_("Each letter is sent to one of {n} small networks, the experts. Its colour says which."),
        "some": N_("Each letter is sent to {k} of {n} small networks, the experts. Its colour says which."),
        "several": N_("Each letter is sent to some of {n} small networks, the experts. Its colour says which."),
        "all": N_("Each letter is sent to all {n} small networks, the experts. Its colour says which counts most."),
        "picked": N_("Each of {n} small networks, the experts, picks the letters that it reads. A letter’s colour says who picked it."),
        "mixed": N_("Each of {n} small networks, the experts, reads mixtures of all letters. A letter’s colour says whose hold most of it."),
    },
    "piece": {
        "one": N_("Each piece of text is sent to one of {n} small networks, the experts. Its colour says which."),
        "some": N_("Each piece of text is sent to {k} of {n} small networks, the experts. Its colour says which."),
        "several": N_("Each piece of text is sent to some of {n} small networks, the experts. Its colour says which."),
        "all": N_("Each piece of text is sent to all {n} small networks, the experts. Its colour says which counts most."),
        "picked": N_("Each of {n} small networks, the experts, picks the pieces of text that it reads. The colour of a piece says who picked it."),
        "mixed": N_("Each of {n} small networks, the experts, reads mixtures of all pieces of text. The colour of a piece says whose hold most of it."),
    },
    "point": {
        "one": N_("Each point is sent to one of {n} small networks, the experts. Its colour says which."),
        "some": N_("Each point is sent to {k} of {n} small networks, the experts. Its colour says which."),
        "several": N_("Each point is sent to some of {n} small networks, the experts. Its colour says which."),
        "all": N_("Each point is sent to all {n} small networks, the experts. Its colour says which counts most."),
        "picked": N_("Each of {n} small networks, the experts, picks the points that it reads. A point’s colour says who picked it."),
        "mixed": N_("Each of {n} small networks, the experts, reads mixtures of all points. A point’s colour says whose hold most of it."),
    },
    "patch": {
        "one": N_("Each patch of an image is sent to one of {n} small networks, the experts. Its colour says which."),
        "some": N_("Each patch of an image is sent to {k} of {n} small networks, the experts. Its colour says which."),
        "several": N_("Each patch of an image is sent to some of {n} small networks, the experts. Its colour says which."),
        "all": N_("Each patch of an image is sent to all {n} small networks, the experts. Its colour says which counts most."),
        "picked": N_("Each of {n} small networks, the experts, picks the patches that it reads. A patch’s colour says who picked it."),
        "mixed": N_("Each of {n} small networks, the experts, reads mixtures of all patches. A patch’s colour says whose hold most of it."),
    },
}
# fmt: on
"""What a token is to the reader -> how tokens and experts find each other -> the line."""

OWN_WAY = {
    "dense": "all",
    "expert_choice": "picked",
    "soft": "mixed",
    "remoe": "several",
    "gshard": "several",
    "st_moe": "several",
}
"""Routers at which it is not the token that is sent to k of the experts; the last three may also send it to fewer or more."""


def what_is_seen(config: Mapping[str, Any], translate: Callable[[str], str] = str) -> str:
    """The line for a picture made with these flat settings, translated."""
    n, k = config["n_experts"], config.get("k", 1) * config.get("k_groups", 1)
    way = OWN_WAY.get(config["router"], "one" if k == 1 else "some")
    if way == "some" and k >= n:
        way = "all"
    return translate(LINES[_token(config)][way]).format(n=n, k=k)


def _token(config: Mapping[str, Any]) -> str:
    if config["task"] == "domains":
        return "letter" if config.get("tokenizer", "bytes") == "bytes" else "piece"
    return "point" if config["task"] in ("clusters", "plane") else "patch"
