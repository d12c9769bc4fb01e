"""One colour per expert: Okabe and Ito's colour-blind-safe set (2008), black replaced by a grey that shows on light and dark."""

EXPERT_COLOURS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#8c8c8c"]
