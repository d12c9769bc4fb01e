"""The server that shows the pages: what happens at its start, to each request, and what we use of Streamlit's private parts.

May import: `ui.session` and all that `ui` may. Must not know: a page.
`streamlit_patches` uses private parts of Streamlit, which any version may change: another one than these were tried with is refused here.
"""

from moe_viz.launch import refuse_other_streamlit

refuse_other_streamlit()
