"""moe_viz: a live laboratory for Mixture-of-Experts routing, on real training."""

__version__ = "0.2.0"
