"""Page registry, theme and language of the app: nothing else.

Streamlit imports this file once to serve it, and runs it as the main script for every session.
"""

import streamlit as st

from moe_viz.ui.i18n import _, picker
from moe_viz.ui.server import front_page, lifecycle, passphrase, theme
from moe_viz.ui.session import address, page_state, run_cookie
from moe_viz.ui.widgets import glossary, present

if __name__ != "__main__":
    app = st.App(__file__, **lifecycle.started_by_streamlit())  # `streamlit run` looks for this very call
else:
    st.set_page_config(page_title="moe_viz", page_icon=str(front_page.ICON), layout="wide")
    address.follow()
    menu = {
        _("Lab"): [
            st.Page("pages/lab.py", title=_("Lab"), icon=":material/science:", default=True),
            st.Page("pages/one_step.py", title=_("One step"), icon=":material/footprint:"),
            st.Page("pages/time_machine.py", title=_("Time machine"), icon=":material/history:"),
        ],
        _("Learn"): [
            st.Page("pages/course.py", title=_("Course"), icon=":material/school:"),
            st.Page("pages/be_the_router.py", title=_("Be the router"), icon=":material/pan_tool:"),
            st.Page("pages/glossary.py", title=_("Glossary"), icon=":material/menu_book:"),
        ],
        _("Compare"): [
            st.Page("pages/gates.py", title=_("Gates"), icon=":material/call_split:"),
            st.Page("pages/twins.py", title=_("Twins"), icon=":material/balance:"),
            st.Page("pages/collapse.py", title=_("Collapse and rescue"), icon=":material/vital_signs:"),
        ],
        _("Look inside"): [
            st.Page("pages/experts.py", title=_("Experts"), icon=":material/groups:"),
            st.Page("pages/gate_map.py", title=_("Gate map"), icon=":material/map:"),
        ],
        _("Origins"): [
            st.Page("pages/local_experts.py", title=_("Local experts"), icon=":material/alt_route:"),
        ],
        _("Systems"): [
            st.Page("pages/sizes.py", title=_("Sizes"), icon=":material/scale:"),
        ],
        _("My runs"): [  # a page without a heading would stand first
            st.Page("pages/runs.py", title=_("My runs"), icon=":material/folder_open:"),
            st.Page("pages/status.py", title=_("Status"), icon=":material/monitor_heart:", visibility="hidden"),
        ],
    }
    page = st.navigation(menu, position="top")
    theme.mark_heading(next(i for i, pages in enumerate(menu.values()) if page in pages))
    passphrase.ask()
    page_state.visit(page.url_path)
    present.stay_only_on(page.url_path)
    page.run()
    run_cookie.write_back()
    glossary.draw()
    picker()
