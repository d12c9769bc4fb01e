"""The panels of the page "One step": each shows one idea of a `StepStory` with its actual numbers, and says in words what a router lacks."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import SupportsFloat

import numpy as np
import pandas as pd
import streamlit as st

from moe_viz.records.numbers import number
from moe_viz.records.step_story import StepStory
from moe_viz.spec import ROUTER_OPTIONS
from moe_viz.spec.knobs import N_
from moe_viz.ui.i18n import _
from moe_viz.ui.widgets.tables import show_table
from moe_viz.ui.words import POLICIES, ROUNDINGS

AUX = {
    "balance": N_("balancing loss"),
    "z": N_("z-loss"),
    "importance": N_("importance loss"),
    "load": N_("load loss"),
    "cmr": N_("budget loss"),
    "l1": N_("sparsity penalty"),
    "reinforce": N_("reward term"),
    "baseline": N_("baseline of the reward"),
    "entropy": N_("entropy bonus"),
}
"""What a router calls its weighted terms -> what a reader calls them."""
HIDE = "hide_results"
"""Session state of the switch that hides results."""
MOST_COLUMNS = 8


SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def n(value: SupportsFloat, digits: int = 4) -> str:
    """A number to calculate with: four digits that count, a real minus, powers of ten as they are written by hand."""
    text, _e, power = f"{float(value):.{digits}g}".partition("e")
    return number(float(text), f".{digits}g") + (f"·10{str(int(power)).translate(SUPERSCRIPTS)}" if power else "")


def b(value: float, digits: int = 4) -> str:
    """The same inside a calculation: a negative number, and one with a power of ten, in brackets."""
    text = n(value, digits)
    return f"({text})" if value < 0 or "·" in text else text


def hidden() -> bool:
    """Whether the reader wants to work the results out."""
    return bool(st.session_state.get(HIDE))


def given(symbol: str, value: float, digits: int = 4) -> str:
    """A result that a later line calculates with: its number, or its symbol where the reader is to work it out."""
    return symbol if hidden() else b(value, digits)


def result(text: str) -> str:
    """A result that stands in a table or a sentence; not where the reader is to work it out."""
    return "?" if hidden() else text


def calculation(text: str) -> None:
    """A line of arithmetic, as it would be typed; without its result where results are hidden."""
    if hidden():
        text = re.sub(r"(=|→)[^=→]*$", r"\1 ?", text)
    st.markdown(f"`{text}`")


def table(columns: Mapping[str, Sequence[str]]) -> None:
    st.table(pd.DataFrame(columns).set_index(next(iter(columns))))


def per_expert(rows: Mapping[str, Sequence[str]]) -> None:
    """One column per expert, one row per quantity; one row per expert where there are many."""
    frame = pd.DataFrame(rows, index=pd.Index(_experts(range(len(next(iter(rows.values()))))), name=_("expert")))
    if len(frame) <= MOST_COLUMNS:
        st.table(frame.T.rename_axis(_("expert")))
    else:
        show_table(frame, height=240, hide_index=False)


def _experts(which: Iterable[int]) -> list[str]:
    return [str(e + 1) for e in which]


def _token(s: StepStory) -> None:
    text = _("Token {number} of {total}: `{name}`. It arrives at the layer as a vector x of {width} numbers, length {length}.")  # fmt: skip
    st.markdown(text.format(number=s.token + 1, total=s.n_tokens, name=str(s.names[s.token]).replace("`", "'").strip() or "␣", width=len(s.x), length=n(np.linalg.norm(s.x))))  # fmt: skip
    if not np.array_equal(s.x, s.seen):
        text = _("The router sees x plus the shared vector: length {length}.")
        st.markdown(text.format(length=n(np.linalg.norm(s.seen))))


def _scores(s: StepStory) -> None:
    if s.logits is None:
        facts = ROUTER_OPTIONS[s.config["router"]].facts
        st.markdown(_("This router has no scores. {idea}").format(idea=_(facts.idea)))
        return
    columns = {_("logit ℓ"): [n(v) for v in s.logits]}
    if s.softmax:
        powers = np.exp(s.logits)
        columns |= {"e^ℓ": [n(v) for v in powers]}
    if s.score is not None:
        columns |= {_("score σ(ℓ)"): [result(n(v)) for v in s.score]}
    per_expert(columns if hidden() else columns | {_("gate p"): [n(v) for v in s.probs]})
    if s.softmax and s.routes:
        e = s.routes[0].expert
        st.markdown(_("Softmax: each e^ℓ divided by the sum of all. For expert {e}:").format(e=e + 1))
        calculation(f"p = e^{b(s.logits[e])} / Σ = {n(powers[e])} / {n(powers.sum())} = {n(s.probs[e])}")
    elif s.score is not None and s.routes:
        e = s.routes[0].expert
        st.markdown(_("Sigmoid, each expert by itself; p is the score divided by the sum of all:"))
        calculation(f"σ = 1 / (1 + e^{b(-s.logits[e])}) = {n(s.score[e])}")
        calculation(f"p = {given('σ', s.score[e])} / {given('Σσ', s.score.sum())} = {n(s.probs[e])}")
    else:
        st.caption(_("Gates p here are not the plain softmax of these logits: this router makes them in its own way (noise, other scores)."))  # fmt: skip
    if s.row is None:
        st.caption(_("The logits are not a plain product of the router's rows with what it sees (another kind of scores, or a disturbed input)."))  # fmt: skip
        return
    with st.expander(_("Where the logit of expert {e} comes from").format(e=s.routes[0].expert + 1)):
        st.caption(_("Σ x·w over {width} numbers = {sum}").format(width=len(s.seen), sum=n(s.row @ s.seen, 6)))
        show_table(pd.DataFrame({"x": s.seen, "w": s.row, "x·w": s.seen * s.row}), height=240, hide_index=False)


def _choice(s: StepStory) -> None:
    if s.ranking is None:
        router = s.config["router"]
        if router == "expert_choice":
            st.markdown(_("Here it is the experts that choose: each takes the tokens with its highest gates. This token was chosen by {count}.").format(count=len(s.routes)))  # fmt: skip
        else:
            st.markdown(_("Nothing is chosen: every expert's slots are blends of all tokens."))
        return
    chosen = _experts(route.expert for route in s.routes)
    if s.logits is None:
        st.markdown(_("Chosen without scores: expert {experts}.").format(experts=", ".join(chosen)))
        return
    base = s.logits
    if s.plan:
        st.markdown(_("The choice goes by a balanced transport plan made from the logits of all tokens, not by this token's logits alone."))  # fmt: skip
    elif s.bias is not None and s.score is not None:
        base = s.score + s.bias
        st.markdown(_("The choice goes by score plus bias; the bias is raised for idle experts and is not part of the gate."))  # fmt: skip
    columns = {}
    if s.bias is not None and s.score is not None:
        columns |= {_("score σ(ℓ)"): [result(n(v)) for v in s.score], _("bias"): [n(v) for v in s.bias]}
    noise = s.ranking - base
    if not s.plan and np.abs(noise).max() > 1e-6:
        st.markdown(_("Random noise is added before the choice:"))
        columns |= {_("before"): [result(n(v)) if s.score is not None else n(v) for v in base], _("noise"): [n(v) for v in noise]}  # fmt: skip
    if columns or s.plan:
        per_expert(columns | {_("ranked by"): [n(v) if s.plan else result(n(v)) for v in s.ranking]})
    else:
        st.markdown(_("No noise here: experts are ranked by the scores as they are."))
    order = np.argsort(-s.ranking, kind="stable")
    text = _("From the highest: {order} … Sent to: {experts}.")
    st.markdown(text.format(order=" > ".join(_experts(order[:4])), experts=", ".join(chosen) or _("none")))


def _slot(s: StepStory) -> None:
    config = s.config
    if s.capacity is None:
        st.markdown(_("No limit (dropless): whoever asks is served."))
    elif config.get("capacity_factor") is not None and "k" in config:
        rounding = _(ROUNDINGS[config.get("capacity_rounding", "ceil")])
        st.markdown(_("Slots of one expert: capacity factor × k × tokens / experts, {rounding}, at least {least}:").format(rounding=rounding, least=config.get("min_capacity", 1)))  # fmt: skip
        exact = config["capacity_factor"] * config["k"] * s.group_size / s.n_experts
        calculation(f"{config['capacity_factor']:g} × {config['k']} × {s.group_size} / {s.n_experts} = {n(exact, 6)} → {s.capacity}")  # fmt: skip
        st.caption(_("Served {policy}.").format(policy=_(POLICIES[config.get("drop_policy", "position")])))
    else:
        st.markdown(_("Each expert has {slots} slots.").format(slots=s.capacity))
    slots = "C" if hidden() else s.capacity
    for route in s.routes:
        if s.ranking is None:
            text = _("Expert {e}: this token is number {place} on its list of {slots}.")
        elif s.capacity is None:
            text = _("Expert {e}: number {place} of {asked} that ask for it. **Kept.**")
        elif route.kept:
            text = _("Expert {e}: number {place} of {asked} that ask for it, {slots} slots. **Kept**, in slot {place}.")
        else:
            text = _("Expert {e}: number {place} of {asked} that ask for it, but only {slots} slots. **Overflow: dropped.**")  # fmt: skip
        st.markdown(text.format(e=route.expert + 1, place=route.place + 1, asked=route.asked_of, slots=slots))
    if not s.routes and s.ranking is None and s.config["router"] == "expert_choice":
        st.markdown(_("No expert has this token on its list: it is skipped."))


def _expert(s: StepStory) -> None:
    if not s.routes:
        st.markdown(_("No single expert works on this token alone."))
    for route in s.routes[:8]:
        text = _("Expert {e}: {active} of its {hidden} hidden units answer to x; it puts out a vector of length {length}, beginning {first}.")  # fmt: skip
        first = ", ".join(n(v, 3) for v in route.output[:3])
        st.markdown(text.format(e=route.expert + 1, active=route.active, hidden=route.hidden, length=n(np.linalg.norm(route.output)), first=first))  # fmt: skip


def _sum(s: StepStory) -> None:
    kept = [route for route in s.routes if route.kept]
    if not s.routes:
        per_expert({_("share of the output"): [n(v) for v in s.probs]})
        st.caption(_("The output is a blend of all experts' slots with these shares."))
    elif not kept:
        st.markdown(_("The token reached no expert, so the layer gives it zero. Where the model has a residual path, that alone carries it on."))  # fmt: skip
    else:
        if len(s.routes) > 1 and math.isclose(sum(r.asked for r in s.routes), 1, abs_tol=1e-3):
            gates = [s.score[r.expert] if s.score is not None else r.gate for r in s.routes]
            names = [f"{'σ' if s.score is not None else 'p'}{r.expert + 1}" for r in s.routes]
            if math.isclose(gates[0] / sum(gates), s.routes[0].asked, rel_tol=1e-3):
                st.markdown(_("Combine weights: the chosen gates, divided by their sum."))
                terms = [given(name, g) for name, g in zip(names, gates, strict=True)]
                calculation(f"w = {terms[0]} / ({' + '.join(terms)}) = {n(s.routes[0].asked)}")
        columns = {_("route"): [_("expert {e}").format(e=r.expert + 1) for r in kept] + ["y"]}
        columns |= {_("weight w"): [n(r.weight) for r in kept] + [""]} if not hidden() else {}
        for d in range(min(3, len(s.y))):
            columns |= {f"f{d + 1}": [n(r.output[d]) for r in kept] + ["?" if hidden() else n(s.y[d])]}
        table(columns)
        terms = " + ".join(f"{given(f'w{r.expert + 1}', r.weight)} × {b(r.output[0])}" for r in kept)
        calculation(f"y1 = {terms} = {n(sum(r.weight * r.output[0] for r in kept))}")
    if s.mix is not None:
        st.markdown(_("Then it is mixed with the other branch (the token itself, or a network for all tokens), in parts {mix}.").format(mix=", ".join(n(v) for v in s.mix)))  # fmt: skip
    if s.config.get("n_shared"):
        gated = s.config.get("shared_gate")
        st.markdown(
            _("The shared experts' output is added, times its own gate.")
            if gated
            else _("The shared experts' output is added.")
        )
    st.markdown(_("Output y: length {length}.").format(length=n(np.linalg.norm(s.y))))


def _loss(s: StepStory) -> None:
    table({
        _("loss"): [_("this token"), _("mean of the batch")],
        _("before the step"): [n(s.loss_before, 5), n(s.batch_before, 5)],
        _("after it, same batch"): [n(s.loss_after, 5), n(s.batch_after, 5)],
        _("change"): [result(n(s.loss_after - s.loss_before, 3)), result(n(s.batch_after - s.batch_before, 3))],
    })  # fmt: skip
    charged = {name: term for name, term in s.aux.items() if term[1]}
    if charged:
        terms = " + ".join(f"{weight:g} × {n(value)}" for value, weight in charged.values())
        st.markdown(_("The step minimises the batch's loss plus weighted terms ({terms}):").format(terms=", ".join(_(AUX.get(name, name)) for name in charged)))  # fmt: skip
        calculation(f"{n(s.batch_before, 5)} + {terms} = {n(s.total, 5)}")
    else:
        st.caption(_("No balancing or other term is weighted in: the batch's loss is all that is minimised."))


def _gradient(s: StepStory) -> None:
    for route in s.routes[:4]:
        if route.gradient is not None and route.kept:
            text = _("A little more weight on expert {e} would change the loss by dL/dw = {g} per unit{way}.")
            way = _(": more of it helps") if route.gradient < 0 else _(": less of it helps") if route.gradient > 0 else ""  # fmt: skip
            st.markdown(text.format(e=route.expert + 1, g=n(route.gradient), way=way))
    if s.dlogits is None or s.dlogits_task is None:
        st.markdown(_("No gradient of any loss reaches this router through scores."))
        return
    columns = {}
    if s.dlogits_aux:
        columns |= {_("from the task"): [n(v, 3) for v in s.dlogits_task]}
        columns |= {_(AUX.get(name, name)): [n(v, 3) for v in part] for name, part in s.dlogits_aux.items()}
    per_expert(columns | {_("dL/dℓ"): [n(v) for v in s.dlogits]})
    st.caption(_("A negative number means: the step raises this expert's score for tokens like this one."))
    (first, *rest) = s.routes or [None]
    if first is not None and not rest and s.softmax and first.kept and first.gradient and math.isclose(first.weight, first.gate, rel_tol=1e-4):  # fmt: skip
        e = first.expert
        st.markdown(_("With one expert, whose gate is its weight: dL/dℓ = dL/dw · p · (1 − p) for the chosen one, from the task."))  # fmt: skip
        p = given("p", first.gate)
        calculation(f"{n(first.gradient)} × {p} × (1 − {p}) = {n(s.dlogits_task[e])}")


def _row(s: StepStory) -> None:
    row = s.router_row
    if row is None:
        st.markdown(_("This router has no row of weights that this step's gradient would move."))
        return
    e, d = row.expert + 1, row.component + 1
    st.markdown(_("Weight {d} of expert {e}'s row. This token's part of its gradient is dL/dℓ times the x it met:").format(d=d, e=e))  # fmt: skip
    calculation(f"{n(row.dlogit)} × {b(row.x)} = {n(row.part)}")
    st.markdown(_("All {count} tokens together: {sum}. Clipping (all gradients to length 1) multiplies it by {clip}:").format(count=s.n_tokens, sum=n(row.gradient), clip=n(row.clip)))  # fmt: skip
    calculation(f"g = {n(row.gradient)} × {n(row.clip)} = {n(row.clipped)}")
    st.markdown(_("AdamW, its step {t}: running means of g and g², corrected for their start at zero.").format(t=row.t))
    calculation(
        f"m = {row.beta1:g} × {b(row.mean)} + {n(1 - row.beta1)} × {given('g', row.clipped)} = {n(row.new_mean)}"
    )
    calculation(
        f"m̂ = {given('m', row.new_mean)} / (1 − {row.beta1:g}^{row.t}) = {n(row.new_mean / (1 - row.beta1**row.t))}"
    )
    calculation(
        f"v = {row.beta2:g} × {n(row.square)} + {n(1 - row.beta2)} × {given('g', row.clipped)}² = {n(row.new_square)}"
    )
    calculation(
        f"v̂ = {given('v', row.new_square)} / (1 − {row.beta2:g}^{row.t}) = {n(row.new_square / (1 - row.beta2**row.t))}"
    )
    st.markdown(_("New weight: old − lr · m̂ / (√v̂ + ε) − lr · decay · old, with lr {lr}, decay {decay:g}:").format(lr=n(row.lr), decay=row.weight_decay))  # fmt: skip
    move, decay = given("lr · m̂ / (√v̂ + ε)", row.move, 6), given("lr · decay · w", row.decay)
    calculation(f"{n(row.before, 6)} − {move} − {decay} = {n(row.after, 6)}")


PANELS: dict[str, Callable[[StepStory], None]] = {
    "token": _token,
    "scores": _scores,
    "choice": _choice,
    "slot": _slot,
    "expert": _expert,
    "sum": _sum,
    "loss": _loss,
    "gradient": _gradient,
    "row": _row,
}
"""Name -> what draws it, in the order of the step."""

TITLES = {
    "token": N_("The token"),
    "scores": N_("Scores and gates"),
    "choice": N_("Noise and choice"),
    "slot": N_("A slot, or overflow"),
    "expert": N_("The experts answer"),
    "sum": N_("The weighted sum"),
    "loss": N_("The loss, before and after"),
    "gradient": N_("The gradient reaches the scores"),
    "row": N_("The router's row moves"),
}


def panel_title(name: str) -> str:
    return _(TITLES[name])
