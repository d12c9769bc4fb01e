"""What each number on screen means: one `MetricInfo` per metric, the single place for its formula, limits, fair value, unit and source.

Symbols: T tokens, k routes per token, E experts; n_i routes asked of expert i; f_i = n_i / sum n; p_t the gate distribution of token t, g_ti the weight it gives expert i (0 unless chosen);
P_i = mean_t p_ti; S_t the set of experts chosen for token t; D a domain.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from moe_viz.spec.knobs import N_


@dataclass(frozen=True)
class Bound:
    """A limit as LaTeX and as a number for given E and k; `value` None: there is none, or it depends on more than E and k."""

    latex: str
    value: Callable[[int, int], float] | None = None

    def at(self, n_experts: int, k: int = 1) -> float | None:
        """The number for E experts and k routes per token (k at most E); None where there is none."""
        return None if self.value is None else float(self.value(n_experts, min(k, n_experts)))


NONE = Bound("")
ZERO = Bound("0", lambda e, k: 0)
ONE = Bound("1", lambda e, k: 1)
LOG_E = Bound(r"\log E", lambda e, k: math.log(e))
FAIR_SHARE = Bound("1/E", lambda e, k: 1 / e)
E_OVER_K = Bound("E/k", lambda e, k: e / k)


@dataclass(frozen=True)
class MetricInfo:
    """A metric's written definition. `title` and `meaning` are marked for translation; `formula` is LaTeX.

    floor, ceiling  what it cannot pass;  fair  its value under perfectly even routing;  per  "run", "layer", "expert", "token", "pair" or "domain".
    """

    name: str
    title: str
    meaning: str
    formula: str
    floor: Bound
    ceiling: Bound
    fair: Bound
    unit: str
    source: str
    per: str = "layer"


SWITCH = "Fedus, Zoph, Shazeer 2021 (Switch Transformer)"
SHAZEER = "Shazeer et al. 2017 (Outrageously Large Neural Networks)"
OLMOE = "Muennighoff et al. 2024 (OLMoE), section 5"
LOSS_FREE = "Wang et al. 2024 (Auxiliary-loss-free load balancing)"
SHANNON = "Shannon 1948"

_ALL = (
    MetricInfo("loss", N_("Loss"), N_("What the optimiser reduces: the task loss of the training batch and the weighted auxiliary terms."), r"L_{\text{task}}+\sum_j c_j L_j", NONE, NONE, NONE, "", "", per="run"),
    MetricInfo("task_metric", N_("Task metric"), N_("How well the task is done on held-out data; its name depends on the task."), "", NONE, NONE, NONE, "", "", per="run"),
    MetricInfo("tokens_per_second", N_("Tokens per second"), N_("Training speed while it computes; waiting for the chosen pace or for other runs is left out."), r"T/\Delta t", ZERO, NONE, NONE, "tokens/s", "", per="run"),
    MetricInfo("load", N_("Load"), N_("Share of the routes asked of an expert, before capacity."), r"f_i=\frac{n_i}{\sum_j n_j}", ZERO, Bound("1/k", lambda e, k: 1 / k), FAIR_SHARE, "", SWITCH, per="expert"),
    MetricInfo("importance", N_("Importance"), N_("Share of the gate weight that an expert gets from the tokens that choose it, before any is dropped."), r"\frac{\sum_t g_{ti}}{\sum_j\sum_t g_{tj}}", ZERO, ONE, FAIR_SHARE, "", SHAZEER, per="expert"),
    MetricInfo("max_load", N_("Largest load"), N_("Share of the routes that the busiest expert is asked for."), r"\max_i f_i", FAIR_SHARE, Bound("1/k", lambda e, k: 1 / k), FAIR_SHARE, "", SWITCH),
    MetricInfo("max_over_mean", N_("Largest over mean load"), N_("How many times the fair share the busiest expert is asked for."), r"E\,\max_i f_i", ONE, E_OVER_K, ONE, "×", SWITCH),
    MetricInfo("max_violation", N_("MaxVio"), N_("How far the busiest expert is above the mean load."), r"\frac{\max_i n_i-\bar n}{\bar n}", ZERO, Bound("E/k-1", lambda e, k: e / k - 1), ZERO, "", LOSS_FREE),
    MetricInfo("cv", N_("Coefficient of variation of the load"), N_("Standard deviation of the load over its mean (population formula)."), r"\frac{\operatorname{sd}_i(n_i)}{\bar n}", ZERO, Bound(r"\sqrt{E/k-1}", lambda e, k: math.sqrt(e / k - 1)), ZERO, "", SHAZEER),
    MetricInfo("load_entropy", N_("Load entropy"), N_("How evenly the routes are spread over the experts. Not how sure the router is: that is the token entropy."), r"\frac{H(f)}{\log E}", Bound(r"\log k/\log E", lambda e, k: math.log(k) / math.log(e) if e > 1 else 1), ONE, ONE, "", SHANNON),
    MetricInfo("token_entropy", N_("Token entropy"), N_("How unsure the router is about one token, averaged. Not how balanced it is: that is the load entropy."), r"\frac1T\sum_t H(p_t)", ZERO, LOG_E, NONE, "nats", SHANNON),
    MetricInfo("mean_gate_entropy", N_("Entropy of the mean gate"), N_("How evenly the gate's probability is spread over the batch. Its distance above the token entropy is what the token tells about the expert."), r"H\!\left(\frac1T\sum_t p_t\right)", ZERO, LOG_E, LOG_E, "nats", SHANNON),
    MetricInfo("balance_loss", N_("Balancing loss"), N_("What the balancing loss charges, before its weight: 1 when even, for every k. It can dip below 1 when load and probability disagree."), r"E\sum_i f_i P_i,\quad f_i=\frac{n_i}{kT}", ZERO, E_OVER_K, ONE, "", SWITCH + ", eq. 4, divided by k"),
    MetricInfo("z_loss", N_("z-loss"), N_("How large the router's scores have grown."), r"\frac1T\sum_t\Big(\log\sum_i e^{\ell_{ti}}\Big)^2", ZERO, NONE, NONE, "", "Zoph et al. 2022 (ST-MoE), eq. 5"),
    MetricInfo("dead_experts", N_("Dead experts"), N_("Experts with less than a tenth of the fair share, over a moving window of steps."), r"\#\{i:\bar f_i<0.1/E\}", ZERO, Bound("E-k", lambda e, k: e - k), ZERO, "", "this lab"),
    MetricInfo("drop_rate", N_("Dropped routes"), N_("Share of the routes asked for that found no slot in their expert's buffer."), r"1-\frac{\sum_i \text{kept}_i}{\sum_i n_i}", ZERO, ONE, ZERO, "", SWITCH),
    MetricInfo("dropped_token_rate", N_("Tokens without an expert"), N_("Share of the tokens that no expert computed; only the residual path carries them."), r"\frac1T\#\{t:\text{no kept route}\}", ZERO, ONE, ZERO, "", SWITCH),
    MetricInfo("asked", N_("Routes asked for"), N_("How many routes asked for the expert at one step, before capacity."), r"n_i", ZERO, NONE, Bound("kT/E"), "", SWITCH, per="expert"),
    MetricInfo("unserved", N_("Probe tokens without an expert"), N_("Share of the probe batch's tokens that no expert computed, the mean over the layers."), r"\frac1T\#\{t:\text{no kept route}\}", ZERO, ONE, ZERO, "", SWITCH, per="run"),
    MetricInfo("experts_touched", N_("Experts that a batch wakes"), N_("How many experts b tokens need together: the mean over consecutive groups of b probe tokens, in the last layer."), r"\frac1G\sum_g\#\bigcup_{t\in g}S_t", ONE, Bound("E", lambda e, k: e), Bound(r"E\left(1-(1-k/E)^b\right)"), "", "this lab", per="run"),
    MetricInfo("domain_null", N_("Domain information by chance, largest"), N_("The largest domain information among shuffled labels: what chance alone can give for this batch."), r"\max_s\frac{I(\text{expert};D_s)}{H(D)}", ZERO, ONE, ZERO, "", SHANNON),
    MetricInfo("domain_null_mean", N_("Domain information by chance, mean"), N_("The mean domain information over shuffled labels."), r"\frac1S\sum_s\frac{I(\text{expert};D_s)}{H(D)}", ZERO, ONE, ZERO, "", SHANNON),
    MetricInfo("place_information", N_("Place information"), N_("How much the expert tells about the token's place in its sequence or image: 0 nothing, 1 everything."), r"\frac{I(\text{expert};\text{place})}{H(\text{place})}", ZERO, ONE, ZERO, "", SHANNON),
    MetricInfo("router_task_gradient", N_("Task gradient at the router"), N_("Largest derivative of the task loss by a score of the router, over the probe tokens: 0 means the task teaches it nothing."), r"\max_{t,i}\left|\frac{\partial L_{\text{task}}}{\partial\ell_{ti}}\right|", ZERO, NONE, NONE, "", "this lab"),
    MetricInfo("routes_changed_before", N_("Routes changed before an edit"), N_("Share of the tokens before the first edited one whose experts or slots change, in any layer: above 0 the gate sees the future."), r"\frac1p\#\{t<p:\text{routes of }t\text{ differ}\}", ZERO, ONE, ZERO, "", "this lab", per="run"),
    MetricInfo("share_to", N_("Share sent to the expert"), N_("Part of a text's tokens whose first choice is the expert."), r"\frac1T\#\{t:e_t=i\}", ZERO, ONE, FAIR_SHARE, "", "this lab", per="expert"),
    MetricInfo("routes_lost", N_("Routes lost"), N_("Share of the routes of the last n steps, over all layers, that found no slot."), r"\frac{\sum_{s,l,i}\max(n_i-C,0)}{\sum_{s,l,i}n_i},\quad C=\lceil c\,kT/E\rceil", ZERO, ONE, ZERO, "", SWITCH, per="run"),
    MetricInfo("needed_factor", N_("Needed capacity factor"), N_("The smallest capacity factor, in steps of 0.01, that would have lost under 1 % of the routes of the last n steps."), r"\min\{c:\text{routes lost}(c)<0.01\}", NONE, NONE, ONE, "", "this lab", per="run"),
    MetricInfo("experts_per_token", N_("Experts per token"), N_("How many experts computed a token; 0 means it was skipped."), r"|S_t|", ZERO, Bound("E", lambda e, k: e), Bound("k", lambda e, k: k), "", "Zhou et al. 2022 (Expert Choice)", per="token"),
    MetricInfo("domain_specialisation", N_("Domain specialisation"), N_("Part of a domain's tokens that choose the expert."), r"\frac{N(E_i,D)}{N_D}", ZERO, ONE, Bound("k/E", lambda e, k: k / e), "", OLMOE, per="domain"),
    MetricInfo("domain_information", N_("Domain information"), N_("How much the expert tells about the domain: 0 nothing, 1 everything. A finite batch shows a little by chance: compare with shuffled labels."), r"\frac{I(\text{expert};D)}{H(D)}", ZERO, ONE, ZERO, "", SHANNON),
    MetricInfo("vocabulary_specialisation", N_("Vocabulary specialisation"), N_("Share of a token id's occurrences that go to its favourite expert (ids seen at least 10 times)."), r"\max_i\frac{N(E_i,x)}{N_x}", FAIR_SHARE, ONE, FAIR_SHARE, "", OLMOE, per="token"),
    MetricInfo("token_predictability", N_("Predictable from the token"), N_("How often the token id alone (its favourite expert in other sequences) names a token's first expert."), r"\frac1T\#\{t:e_t=\arg\max_i N_{\text{others}}(i,x_t)\}", ZERO, ONE, FAIR_SHARE, "", "this lab"),
    MetricInfo("information_beyond_token", N_("Domain information beyond the token"), N_("How much the expert tells about the domain once the token id is known. A finite batch shows some by chance: compare with shuffled labels."), r"\frac{I(\text{expert};D\mid x)}{H(D)}", ZERO, ONE, ZERO, "", SHANNON),
    MetricInfo("switched_off", N_("Loss without the expert"), N_("How much the loss on a domain's held-out sequences rises when the expert's output is zeroed and the routing stays."), r"\bar L_D(\text{without }i)-\bar L_D", NONE, NONE, ZERO, "", "this lab", per="domain"),
    MetricInfo("router_cosine", N_("Likeness of router rows"), N_("Cosine between the directions that two experts answer to."), r"\frac{w_i\cdot w_j}{|w_i||w_j|}", Bound("-1", lambda e, k: -1), ONE, ZERO, "", "", per="pair"),
    MetricInfo("expert_distance", N_("Distance of expert weights"), N_("0 the same weights, 1 unrelated. Two experts can compute the same with their hidden units in another order: then this is near 1, too."), r"\frac{|W_i-W_j|}{\sqrt{|W_i|^2+|W_j|^2}}", ZERO, Bound(r"\sqrt2", lambda e, k: 2**0.5), ONE, "", "", per="pair"),
    MetricInfo("selection_bias", N_("Selection bias"), N_("What loss-free balancing adds to an expert's score when experts are chosen, and nowhere else."), r"b_i\leftarrow b_i+u\,\operatorname{sign}(\bar n-n_i)", NONE, NONE, ZERO, "", LOSS_FREE, per="expert"),
    MetricInfo("saturation", N_("Saturation"), N_("Part of the present choices that were already made at an earlier step."), r"\frac1T\sum_t\frac{|S_t^{\text{then}}\cap S_t^{\text{now}}|}{k}", ZERO, ONE, Bound("k/E", lambda e, k: k / e), "", OLMOE),
    MetricInfo("fluctuation", N_("Fluctuation"), N_("The last step at which a token's expert was not its present one."), r"\max\{s:e_t(s)\ne e_t(\text{now})\}", ZERO, NONE, NONE, "steps", "Dai et al. 2022 (StableMoE)", per="token"),
    MetricInfo("co_activation", N_("Co-activation"), N_("Of the tokens that choose expert i, the part that also choose expert j, over all pairs of choices."), r"\frac{N(i,j)}{N(i)}", ZERO, ONE, Bound(r"\frac{k-1}{E-1}", lambda e, k: (k - 1) / (e - 1) if e > 1 else float("nan")), "", OLMOE, per="pair"),
    MetricInfo("confidence", N_("Routing confidence"), N_("Gate probability of the experts that a token asks for, together, averaged over tokens."), r"\frac1T\sum_t\sum_{i\in S_t}p_{ti}", ZERO, ONE, NONE, "", "this lab"),
    MetricInfo("margin", N_("Margin of the choice"), N_("How far the least chosen expert's probability is above that of the first one left out. Below 0 where noise or a bias chose against the gate; absent where groups, a hash, an assignment or the experts decide."), r"\frac1T\sum_t\Big(\min_{i\in S_t}p_{ti}-\max_{i\notin S_t}p_{ti}\Big)", Bound("-1", lambda e, k: -1), ONE, NONE, "", "this lab"),
    MetricInfo("experts_touched", N_("Experts that a sequence touches"), N_("Share of a layer's experts that any token of a sequence or image asks for, averaged over sequences: what must be in memory to serve one."), r"\frac1{|Q|}\sum_q\frac{|\bigcup_{t\in q}S_t|}{E}", ZERO, ONE, NONE, "", "this lab"),
    MetricInfo("paths", N_("Paths between layers"), N_("Of the tokens computed by expert i, the part computed by expert j one layer later."), r"P(e_{l+1}=j\mid e_l=i)", ZERO, ONE, FAIR_SHARE, "", "", per="pair"),
)  # fmt: skip

METRICS: dict[str, MetricInfo] = {info.name: info for info in _ALL}
"""Metric name (as in `Snapshot.metrics` and history columns) -> its definition."""
