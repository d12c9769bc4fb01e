"""Be the router: twelve tokens, four experts, three slots each."""

from moe_viz.ui.be_the_router.page import draw

draw()
