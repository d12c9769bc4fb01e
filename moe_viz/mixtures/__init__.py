"""The classical, likelihood-trained mixtures of experts (1991-1995): every expert is a density, and the gate's choice is a hidden variable.

May import: `spec`. Must not know: the deep layer, training, pages.

>>> model = MixtureOfExperts(n_experts=4, expert="linear_gaussian", gate="softmax", seed=0)
>>> fit = model.fit(x, y, method="em", iterations=50)
>>> fit.log_likelihood, model.predict(x), model.gate(x), model.responsibilities(x, y)
"""

from moe_viz.mixtures.experts import EXPERTS
from moe_viz.mixtures.gates import GATES
from moe_viz.mixtures.mixture import Fit, HierarchicalMixture, MixtureOfExperts

__all__ = ["EXPERTS", "GATES", "Fit", "HierarchicalMixture", "MixtureOfExperts"]
