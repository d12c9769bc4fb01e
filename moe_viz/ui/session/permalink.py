"""Readable, versioned links: `?v=1&task=domains&router=switch&k=1...`, one word per knob, defaults included.

Every value is written, so that a later change of a default never changes what an old link opens. Reading never fails:
a word that cannot be used leaves its knob at the default and is reported with its value and what is allowed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

import streamlit as st
from pydantic import ValidationError

from moe_viz import __version__
from moe_viz.spec import ROUTER_OPTIONS, TASK_OPTIONS, Config, MixtureConfig, RunConfig, problems
from moe_viz.spec.changes import changes_since
from moe_viz.spec.describe import Translate, allowed, is_number, is_plain_number, read, write
from moe_viz.ui.escape import clean
from moe_viz.ui.session.address import PRESENT
from moe_viz.ui.session.run_cookie import is_id

VERSION = "1"
RUN = "run"
"""The word for a run's id. The settings stand beside it: should the run be gone, a new one begins with them."""
OWN = ("routers", "part", "differs", "second", "pairs", "scene", "buffers", "acts")
"""Words of pages that train runs of their own, beside the knobs of these runs."""
PLACE = ("at", "pin_a", "pin_b", "view", "layer", "shuffled", "frozen")
"""Words of where a reader stands on a page that looks at the lab's run. Steps; layers count from 1; yes or no is 1 or 0."""
MADE = "made"
"""The word for the version of moe_viz that wrote a link."""
NOT_KNOBS = ("v", MADE, "lang", "page", PRESENT, RUN, *OWN, *PLACE)
SAYS_NOTHING = frozenset({"lang", PRESENT})
"""Words of an address that ask for no run and no settings."""
MOST_RUNS = 10
LONGEST = 100
"""Characters of a bad value that are shown back."""
MOST_WORDS = 100
"""Words of a link that are looked at: more than twice as many as there are knobs."""


@dataclass(frozen=True)
class Problem:
    """One word of a link that could not be used. `used` is what stands in its place ('' when the word was ignored).

    since: the word is the version that wrote the link, and this has changed since (marked for translation).
    """

    word: str
    value: str
    rule: str
    used: str = ""
    since: str = ""


C = TypeVar("C", bound=Config)


def encode(config: Config, language: str = "en", run: str | Sequence[str] | None = None, **own: Any) -> dict[str, str]:
    """The query parameters of a run's settings, in a fixed order; with `run`, its id or the ids of several, those of the runs themselves.

    own: words of `OWN` or `PLACE`.
    """
    settings = {word: write(value) for word, value in config.flat().items()} | {w: write(v) for w, v in own.items()}
    runs = run if isinstance(run, str) or run is None else ".".join(run)
    return {"v": VERSION, **settings, MADE: __version__, "lang": language, **({RUN: runs} if runs else {})}


def page_of(config: Config) -> str:
    """The page, as it stands in an address, that shows runs of such a config; "" is the lab."""
    return "local_experts" if isinstance(config, MixtureConfig) else ""


def address(config: Config, language: str = "en", run: str | None = None) -> str:
    """The whole link to the page of these settings, as this reader's browser can open it: host and path prefix included."""
    here = urlsplit(st.context.url or "")
    origin = f"{here.scheme}://{here.netloc}" if here.netloc else ""
    prefix = st.get_option("server.baseUrlPath").strip("/")
    return f"{origin}/{prefix + '/' if prefix else ''}{page_of(config)}?{urlencode(encode(config, language, run))}"


def run_of(params: Mapping[str, str]) -> str | None:
    """The id of the run that a link names, None where it names none."""
    return params.get(RUN, "")[:LONGEST] or None


def runs_of(params: Mapping[str, str]) -> list[str]:
    """The ids of the runs that a link names."""
    return [run for run in params.get(RUN, "").split(".", MOST_RUNS)[:MOST_RUNS] if is_id(run)]


def number_of(params: Mapping[str, str], word: str) -> int | None:
    """The whole number, from 0, that a word of `PLACE` says; None where it says none."""
    text = params.get(word, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


def is_bare(params: Mapping[str, str]) -> bool:
    """Whether an address asks for no run and no settings of its own."""
    return params.keys() <= SAYS_NOTHING


def is_of_others(params: Mapping[str, str]) -> bool:
    """Whether a link is to a page that trains runs of its own, so that its settings are not those of the lab."""
    return not params.keys().isdisjoint((*OWN, MixtureConfig.SOURCE))


def decode(params: Mapping[str, str], translate: Translate = str) -> tuple[RunConfig, list[Problem]]:
    """The run a link asks for, and what of the link could not be used (its rules `translate`d). Never raises on any text."""
    wanted, unusable = _knobs(params)
    for part, registry in (("task", TASK_OPTIONS), ("router", ROUTER_OPTIONS)):
        if part in wanted and wanted[part] not in registry:
            text = wanted.pop(part)
            default = RunConfig.from_flat({key: wanted[key] for key in ("task",) if key in wanted}).flat()[part]
            unusable.append(Problem(part, _short(text), ", ".join(registry), default))
    base = RunConfig.from_flat({part: wanted[part] for part in ("task", "router") if part in wanted})
    config = _settle(_usable(wanted, base, unusable, translate), base, unusable, translate)
    if params.get("v") == VERSION:  # one that somebody typed says nothing of a version, and means today's
        made = _short(params.get(MADE, ""))
        unusable += [Problem(MADE, made, "", since=what) for what in changes_since(made, config)]
    return config, unusable


def decode_mixture(
    params: Mapping[str, str], start: MixtureConfig, translate: Translate = str
) -> tuple[MixtureConfig, list[Problem]]:
    """The same for the fit of a mixture; `start` where a link says nothing of a knob."""
    wanted, unusable = _knobs(params)
    values = start.flat() | _usable(wanted, start, unusable, translate)
    return _settle(values, start, unusable, translate), unusable


def _knobs(params: Mapping[str, str]) -> tuple[dict[str, Any], list[Problem]]:
    """The words of a link that are not about place or language."""
    params = dict(islice(params.items(), MOST_WORDS))
    known = params.get("v", VERSION) == VERSION
    unusable = [] if known else [Problem("v", _short(params["v"]), VERSION, VERSION)]
    return {word: text for word, text in params.items() if word not in NOT_KNOBS}, unusable


def _usable(wanted: dict[str, Any], base: Config, unusable: list[Problem], translate: Translate) -> dict[str, Any]:
    """Words that such a config has, with values that can be read."""
    fields = base.fields()
    values: dict[str, Any] = {}
    for word, text in wanted.items():
        if word in fields and text != "none" and is_number(fields[word]) and not is_plain_number(text):
            unusable.append(Problem(word, _short(text), allowed(fields[word], translate), write(base.flat()[word])))
        elif word in fields:
            values[word] = read(text)
        else:
            unusable.append(Problem(_short(word), _short(text), ""))
    return values


def _settle(values: dict[str, Any], base: C, unusable: list[Problem], translate: Translate) -> C:
    """Drop the words that validation refuses, one at a time, until the rest fits together."""
    fields = base.fields()
    while True:
        try:
            return type(base).from_flat(values)
        except ValidationError as error:
            word, _, message = problems(error, translate)[0]
            culprit = (
                word if word in values and word not in ("task", "router") else _culprit(values, message, type(base))
            )
            text = _short(write(values.pop(culprit)))
            rule = allowed(fields[culprit], translate)
            unusable.append(
                Problem(culprit, text, rule if culprit == word else f"{rule}; {message}", write(base.flat()[culprit]))
            )


def _culprit(values: Mapping[str, Any], message: str, kind: type[Config]) -> str:
    """The word of a rule about several words: the one whose removal satisfies the rule, else any that remains."""
    free = [word for word in values if word not in ("task", "router")]
    for word in free:
        try:
            kind.from_flat({key: value for key, value in values.items() if key != word})
        except ValueError:
            continue
        return word
    named = [word for word in free if word in message]
    return (named or free)[0]


def _short(text: Any) -> str:
    return clean(text, LONGEST)
