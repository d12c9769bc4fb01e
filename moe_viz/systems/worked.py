"""Claims that a reader can do again: each a few lines of arithmetic, every number named, with where it is from.

A line is a sentence, a formula with its numbers in it, and its result; later lines use earlier results. Nothing is rounded on the way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from moe_viz.records.numbers import number
from moe_viz.spec.knobs import N_
from moe_viz.systems.count import count
from moe_viz.systems.table import SYSTEMS


@dataclass(frozen=True)
class Line:
    """words: what is worked out (marked for translation);  formula: with its numbers, plain text;  value: its result;  form: how it is written."""

    words: str
    formula: str
    value: float
    form: str = ",.0f"

    @property
    def result(self) -> str:
        return number(self.value, self.form)


@dataclass(frozen=True)
class Worked:
    """One calculation. title, claim, ending: marked for translation;  source: where its given numbers are from."""

    title: str
    claim: str
    lines: tuple[Line, ...]
    ending: str
    source: str


def _n(value: float) -> str:
    return number(value, ",.0f")


def ffn_share_of_palm() -> Worked:
    """PaLM-540B: how much of it stands in FFNs."""
    s = SYSTEMS["PaLM-540B"]
    c = count(s)
    ffn, embedding = c.parts["dense_ffn"], c.parts["head"]
    queries, keys = s.heads * s.head_dim, s.kv_heads * s.head_dim
    attention = 2 * s.d_model * queries + 2 * s.d_model * keys
    return Worked(
        title=N_("Nine tenths of PaLM stand in its FFNs"),
        claim=N_(
            "It is often said that about 90 % of PaLM-540B's weights are FFN weights: that is why experts replace the FFN."
        ),
        lines=(
            Line(
                N_("FFN weights of one layer: three matrices of width × hidden units"),
                f"3 × {_n(s.d_model)} × {_n(s.dense_ffn or 0)}",
                3 * s.d_model * (s.dense_ffn or 0),
            ),
            Line(N_("of all layers"), f"{s.layers} × {_n(ffn / s.layers)}", ffn),
            Line(
                N_("attention of all layers: queries and output of 48 heads, keys and values of one"),
                f"{s.layers} × (2 × {_n(s.d_model)} × {_n(queries)} + 2 × {_n(s.d_model)} × {_n(keys)})",
                attention * s.layers,
            ),
            Line(N_("norms: one a layer, and the last"), f"({s.layers} + 1) × {_n(s.d_model)}", c.parts["norms"]),
            Line(N_("embedding, which is the output head, too"), f"{_n(s.vocab)} × {_n(s.d_model)}", embedding),
            Line(
                N_("all weights"),
                f"{_n(ffn)} + {_n(c.parts['attention'])} + {_n(c.parts['norms'])} + {_n(embedding)}",
                c.total,
            ),
            Line(N_("share of the FFNs"), f"{_n(ffn)} / {_n(c.total)}", ffn / c.total, ".1%"),
            Line(
                N_("the same without the embedding"),
                f"{_n(ffn)} / ({_n(c.total)} − {_n(embedding)})",
                ffn / (c.total - embedding),
                ".1%",
            ),
        ),
        ending=N_("The quoted 90 % is the last line, rounded."),
        source="Chowdhery et al. 2022, arXiv 2204.02311",
    )


GNMT, MOE = (214e6, 278e6), (85e6, 8.7e9)
"""Multiply-adds per token and parameters: Shazeer et al. 2017, table 2."""


def thirty_times() -> Worked:
    """The sparsely gated LSTM model against the dense translator of its time."""
    (dense_work, dense_size), (moe_work, moe_size) = GNMT, MOE
    return Worked(
        title=N_("30 × the parameters at less compute"),
        claim=N_(
            "A translator of LSTMs with 2,048 experts was compared with GNMT, the dense one of its time (WMT'14, English to French)."
        ),
        lines=(
            Line(
                N_("parameters, against those of GNMT"),
                f"{_n(moe_size)} / {_n(dense_size)}",
                moe_size / dense_size,
                ".1f",
            ),
            Line(
                N_("multiply-adds for each token, against those of GNMT"),
                f"{_n(moe_work)} / {_n(dense_work)}",
                moe_work / dense_work,
                ".1%",
            ),
            Line(
                N_("parameters for each multiply-add: with experts"),
                f"{_n(moe_size)} / {_n(moe_work)}",
                moe_size / moe_work,
                ".1f",
            ),
            Line(N_("and in GNMT"), f"{_n(dense_size)} / {_n(dense_work)}", dense_size / dense_work, ".2f"),
        ),
        ending=N_(
            "Both models' figures are as published, and so is the better result: BLEU 40.35 against 39.22. Nothing here is measured by us."
        ),
        source="Shazeer et al. 2017, arXiv 1701.06538, table 2",
    )


def eight_times_seven() -> Worked:
    """Mixtral 8x7B has 47 billion weights, not 56, and a token meets 13."""
    s = SYSTEMS["Mixtral-8x7B"]
    c = count(s)
    rest = c.total - c.parts["experts"]
    each = c.per_expert or 0
    return Worked(
        title=N_("8 × 7 B is not 56 B"),
        claim=N_("Mixtral-8x7B has eight experts in each layer; only these are there eight times, all else once."),
        lines=(
            Line(N_("one expert: three matrices"), f"3 × {_n(s.d_model)} × {_n(s.expert_ffn or 0)}", each),
            Line(N_("all experts"), f"{s.layers} × {s.experts} × {_n(each)}", c.parts["experts"]),
            Line(
                N_("all else: embeddings, attention, routers, norms"), f"{_n(c.total)} − {_n(c.parts['experts'])}", rest
            ),
            Line(N_("all weights"), f"{_n(c.parts['experts'])} + {_n(rest)}", c.total),
            Line(
                N_("what one token meets: two experts a layer, and all else"),
                f"{s.layers} × {s.k} × {_n(each)} + {_n(rest)}",
                c.active("all"),
            ),
            Line(N_("the mistake: total × k / E"), f"{_n(c.total)} × {s.k} / {s.experts}", c.total * s.k / s.experts),
            Line(
                N_("bytes in memory at 16 bits: all weights, not the active ones"),
                f"2 × {_n(c.total)}",
                c.weight_bytes(2),
            ),
        ),
        ending=N_("Memory follows the total, work follows what is active."),
        source="Jiang et al. 2024, arXiv 2401.04088",
    )


def training_of_deepseek() -> Worked:
    """DeepSeek-V3: operations of its training, and how well its cards were used."""
    active, tokens, hours, peak = 37e9, 14.8e12, 2.788e6, 1.513e15
    work = 6 * active * tokens
    return Worked(
        title=N_("What the training of DeepSeek-V3 took"),
        claim=N_("37 billion active parameters, 14.8 trillion tokens, 2.788 million hours of H800 cards."),
        lines=(
            Line(
                N_("operations: six for each active parameter and token"),
                f"6 × {_n(active)} × {_n(tokens)}",
                work,
                ".3g",
            ),
            Line(N_("seconds of cards"), f"{_n(hours)} × 3600", hours * 3600),
            Line(
                N_("operations a second and card"),
                f"{number(work, '.3g')} / {_n(hours * 3600)}",
                work / hours / 3600,
                ".3g",
            ),
            Line(
                N_("of what a card can do, 1.513·10¹⁵ operations a second with 8-bit numbers"),
                f"{number(work / hours / 3600, '.3g')} / {number(peak, '.4g')}",
                work / hours / 3600 / peak,
                ".1%",
            ),
        ),
        ending=N_("All hours count, those beside the pre-training, too; attention over the context does not."),
        source="DeepSeek-AI 2024, arXiv 2412.19437",
    )


WORKED: tuple[Callable[[], Worked], ...] = (ffn_share_of_palm, thirty_times, eight_times_seven, training_of_deepseek)
"""In the order of the page."""
