"""What a run is called in the list, and what is said of it there: words alone, no widget."""

from __future__ import annotations

import time
from typing import Any

from moe_viz.engine.protocol import KeptRun
from moe_viz.records.numbers import number
from moe_viz.spec import ROUTER_OPTIONS, TASK_OPTIONS, Config, MixtureConfig, RunConfig, config_of
from moe_viz.ui.escape import escape_markdown
from moe_viz.ui.i18n import _, language
from moe_viz.ui.session.permalink import address
from moe_viz.ui.words import show

MOST_WORDS = 4
"""Settings that tell a run from a plain one of its task and gate, at most."""
FIRST = ("k", "n_experts", "balance_coef")


def heading(run: KeptRun) -> str:
    return f"**{escape_markdown(run.name) if run.name else title(run.config)}**"


def title(config: dict[str, Any]) -> str:
    """What a run without a name is called: its task and its gate, or a mixture's data and method."""
    if MixtureConfig.SOURCE in config:
        return " · ".join(show(word, config[word]) for word in ("data", "method") if word in config)
    task, router = TASK_OPTIONS.get(str(config.get("task"))), ROUTER_OPTIONS.get(str(config.get("router")))
    return " · ".join(_(title) for title in (task and task.title, router and router.facts.title) if title)


def words(config: dict[str, Any]) -> str:
    """The settings in a few words: the first knobs, then whatever differs from a plain run of this task and gate."""
    try:
        run = config_of(config)
    except ValueError:
        return ""
    plain, values, fields = plain_like(run).flat(), run.flat(), run.fields()
    other = [word for word in values if values[word] != plain.get(word) and word not in (*FIRST, "speed", "points")]
    chosen = [word for word in FIRST if word in values] + other[:MOST_WORDS]
    parts = [f"{_(fields[word].title or word)} {show(word, values[word])}" for word in chosen if word in fields]
    return escape_markdown(" · ".join(parts) + (" …" if len(other) > MOST_WORDS else ""), 400)


def plain_like(run: Config) -> Config:
    """The plain run of the same task and gate, or data."""
    return run.from_flat({w: run.flat()[w] for w in (("task", "router") if isinstance(run, RunConfig) else ("data",))})


def facts(run: KeptRun, own: bool) -> list[str]:
    """Step, when it was last saved, size, and what is special about it."""
    step = _("step {step}").format(step=number(run.step, "d")) if run.step is not None else ""
    parts = [step, ago(time.time() - run.seen), _("{n} MB").format(n=f"{run.bytes / 1e6:.1f}")]
    parts += [":material/keep: " + _("pinned")] * run.pinned + [_("trains now")] * run.playing
    return [fact for fact in parts + [_("opened by its link")] * (not own) if fact]


def ago(seconds: float) -> str:
    """How long ago, roughly."""
    for size, text in ((86400, _("saved {n} d ago")), (3600, _("saved {n} h ago")), (60, _("saved {n} min ago"))):
        if seconds >= size:
            return text.format(n=int(seconds // size))
    return _("saved just now")


def link(run: KeptRun) -> str:
    """The address that opens this very run."""
    return address(config_of(run.config), language(), run.run_id)
