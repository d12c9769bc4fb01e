"""The server that shows the pages: what happens at its start and to each request. It may import anything of ui; it knows no page.

`streamlit_patches` uses private parts of Streamlit, which any version may change: another one than these were tried with is refused here.
"""

from moe_viz.launch import refuse_other_streamlit

refuse_other_streamlit()
