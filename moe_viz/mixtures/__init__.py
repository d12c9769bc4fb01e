"""The classical, likelihood-trained mixtures of experts (1991-1995): every expert is a density, and the gate's choice is a hidden variable.

May import: `spec`. Must not know: the deep layer, training, pages.

Both are scikit-learn's estimators: `Pipeline`, `GridSearchCV` and `clone` take them.

>>> model = MixtureOfExperts(n_experts=4, expert="linear_gaussian", gate="softmax", seed=0)
>>> model.fit(x, y, method="em", iterations=50).log_likelihood_
>>> model.predict(x), model.score(x, y), model.gate(x), model.responsibilities(x, y)
"""

from moe_viz.mixtures.experts import EXPERTS
from moe_viz.mixtures.gates import GATES
from moe_viz.mixtures.methods import ERRORS, METHODS
from moe_viz.mixtures.mixture import HierarchicalMixture, MixtureOfExperts

__all__ = ["ERRORS", "EXPERTS", "GATES", "METHODS", "HierarchicalMixture", "MixtureOfExperts"]
