"""Routers without a choice to learn, and the two simplest gates: dense blending, the hard winner, and hashing by token."""

from __future__ import annotations

from typing import Literal

from moe_viz.spec.knobs import N_, Knob
from moe_viz.spec.routers.base import Facts, RouterOptions


class Dense(RouterOptions):
    facts = Facts(
        chooser="nobody",
        title=N_("Dense softmax gate"),
        year=1991,
        paper="Jacobs, Jordan, Nowlan, Hinton, Adaptive Mixtures of Local Experts, Neural Computation 3",
        idea=N_("Every expert answers every token; a softmax gate blends the answers."),
        formula=r"y_t=\sum_i p_{ti}\,f_i(x_t),\quad p_t=\mathrm{softmax}(x_tW_g)",
        used_by=N_("Classical mixtures; the reference that sparse layers approximate."),
        cost=N_("All experts for every token."),
        fails=N_("Nothing is saved, and experts trained on the blended error co-operate instead of specialising."),
    )
    name: Literal["dense"] = "dense"


class Hard(RouterOptions):
    facts = Facts(
        title=N_("Hard winner"),
        year=1991,
        paper="Winner-takes-all limit of the softmax gate; straight-through: Bengio, Léonard, Courville, arXiv:1308.3432",
        idea=N_("The best expert alone answers, with weight 1."),
        formula=r"y_t=f_{i^*}(x_t),\quad i^*=\arg\max_i p_{ti}",
        used_by=N_("The baseline that shows why gates multiply the output."),
        cost=N_("One expert per token."),
        fails=N_("Without the straight-through gradient the router never learns from the task."),
        differentiable=False,
    )
    name: Literal["hard"] = "hard"
    straight_through: bool = Knob(
        False,
        live=True,
        title=N_("Straight-through gradient"),
        help=N_("Pass the gradient to the gate as if the weight were its probability, although the weight is 1."),
    )


class Hash(RouterOptions):
    facts = Facts(
        chooser="unlearned",
        title=N_("Hash"),
        year=2021,
        paper="Roller, Sukhbaatar, Szlam, Weston, Hash Layers for Large Sparse Models, arXiv:2106.04426",
        idea=N_("A fixed table sends each token of the vocabulary to one expert; nothing is learned."),
        formula=r"y_t=f_{h(\mathrm{id}_t)}(x_t)",
        used_by=N_("The control that learned routers have to beat."),
        cost=N_("One expert per token, no router."),
        fails=N_("Blind to context; one very frequent token overloads its expert whatever the table."),
        differentiable=False,
    )
    name: Literal["hash"] = "hash"
    scheme: Literal["random", "balanced"] = Knob(
        "balanced",
        live=False,
        title=N_("Table"),
        help=N_(
            "Random: each token's expert is drawn once. Balanced: frequent tokens are spread so that loads come out even."
        ),
    )
    vocab_size: int = Knob(
        256, ge=1, le=1_000_000, live=False, title=N_("Vocabulary"), help=N_("How many different tokens there are.")
    )
