"""The four text domains: where their text comes from and how it is cut into training and held-out parts.

English and Russian: the Debian FAQ (the same book in both) and the Universal Declaration of Human Rights. Python: files of the standard
library of CPython 3.11.7, whatever Python runs here. Numbers: rows of three measured tables.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np

from moe_viz.spec.knobs import N_
from moe_viz.tasks.base import DATA, SPLIT_SEED

SECTIONS = 200
HELD_OUT_EVERY = 10
"""Each text is cut into 200 contiguous sections and every tenth is held out: spread so, the held-out tenth is like the rest."""


@dataclass(frozen=True)
class Domain:
    """Training and held-out text of one domain."""

    name: str
    train: str
    held_out: str


def _split(name: str, units: list[str]) -> Domain:
    """Cut lines or rows into contiguous sections and hold some of them out."""
    bounds = np.linspace(0, len(units), SECTIONS + 1).astype(int)
    sections = ["".join(units[a:b]) for a, b in pairwise(bounds)]
    held_out = sections[HELD_OUT_EVERY // 2 :: HELD_OUT_EVERY]
    train = (text for i, text in enumerate(sections) if i % HELD_OUT_EVERY != HELD_OUT_EVERY // 2)
    return Domain(name, "".join(train), "".join(held_out))


def _prose(language: str) -> list[str]:
    lines: list[str] = []
    for source in ("debian_faq", "udhr"):
        lines += (DATA / source / f"{language}.txt").read_text("utf-8").splitlines(keepends=True)
    # Every question stands in the table of contents, too: it must not be held out in one place and trained on in the other.
    return list(dict.fromkeys(lines))


def _python() -> list[str]:
    return gzip.decompress((DATA / "python" / "python.txt.gz").read_bytes()).decode().splitlines(keepends=True)


def _numbers() -> list[str]:
    rows: list[str] = []
    for table in ("wine", "breast_cancer", "diabetes"):
        rows += (DATA / "tables" / f"{table}.csv").read_text("utf-8").splitlines(keepends=True)
    # Unshuffled, the held-out sections of a domain this small would come from one table only.
    order = np.random.default_rng(SPLIT_SEED).permutation(len(rows))
    return [rows[i] for i in order]


@cache
def domains() -> tuple[Domain, ...]:
    """The four domains, in the order in which they are shown."""
    return (
        _split(N_("English"), _prose("en")),
        _split(N_("Russian"), _prose("ru")),
        _split(N_("Python"), _python()),
        _split(N_("Numbers"), _numbers()),
    )
