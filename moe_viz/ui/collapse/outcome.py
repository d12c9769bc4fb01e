"""What came of an act of a scene, in words made from its measurements alone."""

from __future__ import annotations

from moe_viz.lessons.scenes import Watch
from moe_viz.ui.collapse.run import Entry
from moe_viz.ui.i18n import _
from moe_viz.ui.widgets.verdicts import SIGNS
from moe_viz.ui.words import percent


def outcome(entry: Entry) -> str:
    """A sentence with a sign in front: how the act stands now."""
    severity, text = {"healthy": _healthy, "collapsed": _collapsed, "rescued": _rescued}[entry.act.goal](entry)
    return f"{SIGNS[severity]} {text} {_now(entry.watch)}"


def in_short(entry: Entry) -> str:
    """The same without sign and present numbers, for the log."""
    return {"healthy": _healthy, "collapsed": _collapsed, "rescued": _rescued}[entry.act.goal](entry)[1]


def _now(watch: Watch) -> str:
    if watch.dead is None or watch.max_load is None or watch.young:
        return ""
    if watch.dead == 1:
        text = _("Now 1 of {n} experts is dead, the busiest takes {load} of the routes")
    else:
        text = _("Now {dead} of {n} experts are dead, the busiest takes {load} of the routes")
    if watch.dropped:
        text += _(", and {dropped} of the routes are dropped")
    load, dropped = percent(watch.max_load), percent(watch.dropped or 0)
    text = text.format(dead=watch.dead, n=watch.n_experts, load=load, dropped=dropped) + "."
    return text if watch.layers == 1 else f"{text} " + _("(The layer that is worst off.)")


def _healthy(entry: Entry) -> tuple[str, str]:
    watch = entry.watch
    if watch.reached is not None and watch.lost is None:
        if not watch.worst_dead:
            return "good", _("No collapse in {steps} steps: never an expert dead.").format(steps=watch.steps)
        text = _("No collapse in {steps} steps, though not even: at worst {worst} of {n} experts were dead.")
        return "info", text.format(steps=watch.steps, worst=watch.worst_dead, n=watch.n_experts)
    if watch.lost is not None:
        return "bad", _("Healthy at first, collapsed at step {step}.").format(step=watch.start + watch.lost)
    if watch.over:
        return "bad", _("This seed collapsed even so: at worst {worst} were dead.").format(worst=watch.worst_dead)
    return "info", _("Step {steps} of {within} in which it should stay healthy.").format(
        steps=watch.steps, within=watch.act.within
    )


def _collapsed(entry: Entry) -> tuple[str, str]:
    watch = entry.watch
    if watch.lost is not None:
        return "info", _("Collapsed after {reached} steps, and came back by itself after {lost}.").format(
            reached=watch.reached, lost=watch.lost
        )
    if watch.reached is not None:
        return "bad", _("Collapsed after {reached} steps: half of the experts were dead.").format(reached=watch.reached)
    if watch.over:
        return "info", _("Not collapsed after {steps} steps.").format(steps=watch.steps)
    return "info", _("Step {steps}: the shared vector is there, watch who wins.").format(steps=watch.steps)


def _rescued(entry: Entry) -> tuple[str, str]:
    watch = entry.watch
    if not entry.needed and watch.lost is None:
        return "info", _("There was no collapse to rescue when this was switched on.")
    if watch.lost is not None:
        return "bad", _("Alive after {reached} steps, but collapsed again {lost} steps after the switch.").format(
            reached=watch.reached, lost=watch.lost
        )
    if watch.reached is not None and watch.kept:
        return "good", _("Rescued after {reached} steps.").format(reached=watch.reached)
    if watch.reached is not None:
        return "warning", _("Rescued, but only after {reached} steps.").format(reached=watch.reached)
    if watch.over:
        return "warning", _("Did not work here: not rescued in {steps} steps.").format(steps=watch.steps)
    return "info", _("{steps} steps since the switch.").format(steps=watch.steps)
