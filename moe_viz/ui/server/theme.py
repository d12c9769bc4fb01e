"""The page's few rules of its own: tabular figures, a calm top, no fading while the live part redraws."""

import json

import streamlit as st

from moe_viz.charts.palette import TEXT
from moe_viz.ui.i18n import _, language
from moe_viz.ui.server import streamlit_patches

CSS = """
<style>
:root { --moe-viz-rules: here; }
.stMainBlockContainer { padding-top: 3.6rem; padding-bottom: 2rem; }
.stMain, .stSidebar { font-variant-numeric: tabular-nums; }
.st-key-story p { font-size: 1.15rem; line-height: 1.4; margin: 0; }
.st-key-head .st-key-story { min-height: 3.22rem; justify-content: center; }
.st-key-seen, .st-key-seen_alone { min-height: 3rem; flex-wrap: nowrap; }
.st-key-what_is_seen p { line-height: 1.4; margin: 0; }
.st-key-still_head, .st-key-chosen, .st-key-specialise_controls { margin-top: 0.4rem; }
.st-key-still_head { margin-bottom: 0.7rem; }
.st-key-link_problems, .st-key-shared_run { margin-top: 0.6rem; }
@media print {
  .st-key-buttons, .st-key-within_reach, [class*="st-key-take_"], [class*="st-key-download_"], .stPopover, .stSidebar, .stAppHeader { display: none !important; }
}
.st-key-notices { height: 1.7rem !important; flex: none; margin-block: -0.9rem -0.8rem; position: relative; overflow: visible; }
.st-key-notices p { font-size: 0.875rem; line-height: 1.3rem; max-height: 1.3rem; margin: 0; overflow: hidden;
  display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 1; }
.st-key-notices p:is(:hover, :focus) { max-height: none; -webkit-line-clamp: none; position: absolute; inset: 0 0 auto; z-index: 100;
  background: Canvas; box-shadow: 0 0.3rem 0.6rem -0.2rem currentColor; padding-bottom: 0.3rem; }
.st-key-notices [data-testid="stCaptionContainer"]:has(p:is(:hover, :focus)) { opacity: 1; }
[data-testid="stTopNavSection"]:focus-visible, [data-testid="stSidebarNavLink"]:focus-visible,
[data-testid^="stTopNav"] a:focus-visible { outline: 3px solid currentColor !important; outline-offset: -3px; }
.stMultiSelect button[aria-label^="Remove"], .stMultiSelect [data-baseweb="tag"] [role="presentation"] { min-width: 24px; min-height: 24px; }
.st-key-strips .stVegaLiteChart { min-height: 129px; }
.st-key-live_step p { font-size: 1.15rem; margin: 0; white-space: nowrap; }
[data-testid="stCaptionContainer"] { opacity: 0.75; }
.st-key-about { min-height: 2rem; }
.st-key-pace { overflow: hidden; }
.st-key-pace p { white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
@media (min-width: 641px) {
  .st-key-about { flex-wrap: nowrap; }
  .st-key-about > :not(:has(> .st-key-pace)) { flex: none; }
  .st-key-about > :has(> .st-key-pace) { flex: 1 1 0; min-width: 0; }
}
@media (min-width: 769px) { .st-key-notices { margin-block: 0.2rem -1.3rem; } }
@media (max-width: 1100px) {
  .st-key-head .st-key-story { min-height: 4.83rem; }
  .st-key-seen, .st-key-seen_alone { min-height: 6.3rem; flex-wrap: wrap; align-content: flex-start; }
  .st-key-seen > * { flex: 1 1 100% !important; }
  .st-key-first_presses { padding-top: 0.4rem; }
}
@media (max-width: 768px) {
  .stMainBlockContainer { padding-top: 4.6rem; }
  .st-key-within_reach .stSelectbox { flex: 1 1 9rem; }
  .st-key-within_reach .stSlider { flex: 1 1 9rem; padding-inline: 0.5rem; }
}
@media (max-width: 640px) {
  .st-key-head .st-key-story { min-height: 8rem; justify-content: flex-start; }
  .st-key-head .st-key-story p { font-size: 1rem; line-height: 1.32; }
  .st-key-head { align-items: flex-start; }
  .st-key-seen, .st-key-seen_alone { min-height: 7.7rem; }
  .st-key-first_presses { flex-wrap: nowrap; overflow-x: auto; }
  .st-key-first_presses button { padding-inline: 0.5rem; }
  .st-key-first_presses button p { white-space: nowrap; }
  .st-key-notices { height: 2.6rem !important; }
  .st-key-notices p { max-height: 2.6rem; -webkit-line-clamp: 2; }
  .st-key-about { min-height: 4.6rem; align-content: flex-start; }
  .st-key-about > :has(> .st-key-pace) { display: none; }
}
.st-key-buttons button { padding-inline: 0.42rem; }
.stMainBlockContainer { padding-inline: clamp(1rem, 3vw, 3.5rem); }
[data-stale="true"] { opacity: 1 !important; transition: none !important; }
.stSidebar [data-testid="stSidebarUserContent"] { padding-top: 0.5rem; }
.stSidebar .stVerticalBlock { gap: 0.7rem; }
.st-key-remember { display: none; }
.stTextArea textarea, .stTextInput input { unicode-bidi: plaintext; text-align: start; }
@media (min-width: 769px) { [data-testid="stLayoutWrapper"]:has(> .st-key-within_reach) { display: none; } }
[data-testid="stLayoutWrapper"]:has(> .st-key-connection) { position: absolute; }
[class*="st-key-row_"] > :first-child { min-width: min(17rem, 100%); }
[data-testid="stLayoutWrapper"]:has(> :is(.st-key-script, .st-key-lead, .st-key-page_language)), .st-key-script, .st-key-lead,
.st-key-page_language { display: none; }
label[data-testid="stWidgetLabel"] { color: inherit; }
button[aria-label^="Help"] { min-width: 24px; min-height: 24px; margin: -4px; }
</style>
"""


ON_EITHER = f"""
<style>
button[kind="primary"]:enabled, button[kind="primary"]:enabled :is(p, span),
.stMultiSelect span[title], .stMultiSelect button[aria-label^="Remove"] {{ color: light-dark(#ffffff, #0b1118); }}
.stVegaLiteChart svg.marks :is(.role-axis, .role-legend, .role-title) text {{ fill: light-dark({TEXT["light"]}, {TEXT["dark"]}); }}
</style>
"""
"""White on the dark theme's light blue is too faint to read; Streamlit has no setting for this. Said by the scheme that the browser draws in, as is the
ink of charts: so all is right from the moment in which the system turns dark, and not only once the page has been made anew."""


CONTRAST = """
<style>
@media (forced-colors: active) {
  .stSlider [role="group"] > div > div:first-child { border: 1px solid CanvasText; }
  .stSlider [role="group"] > div > div:has(input[type="range"]) { forced-color-adjust: none; background: Highlight; outline: 2px solid CanvasText; }
  .stSlider [data-testid="stSliderThumbValue"] { color: CanvasText; }
  .stSlider [role="group"] > div > div:has(input:focus-visible) { outline: 4px double Highlight; outline-offset: 2px; }
  .stCheckbox label > div:first-of-type { border: 1px solid CanvasText; }
  .stCheckbox:has(input[role="switch"]) label > div:first-of-type > div { forced-color-adjust: none; background: CanvasText; }
  .stCheckbox:has(input:checked) label > div:first-of-type { forced-color-adjust: none; background: Highlight; }
  .stCheckbox:has(input[role="switch"]:checked) label > div:first-of-type > div { background: HighlightText; }
  [role="radiogroup"] button[aria-checked="true"], [role="tab"][aria-selected="true"], .stButtonGroup button:is([aria-pressed="true"], [data-selected="true"]) {
    forced-color-adjust: none; background: Highlight !important; color: HighlightText !important; }
  button[kind="primary"] { border: 3px solid CanvasText; }
  [data-testid^="stTopNav"] a[aria-current] { outline: 2px solid currentColor; outline-offset: -2px; }
  .stProgress [role="progressbar"] div { border: 1px solid CanvasText; }
  .moment-line { forced-color-adjust: none; background: CanvasText !important; }
}
</style>
"""
"""A contrast theme takes all shades away: what Streamlit tells by one alone (a slider's track, what is chosen) gets a line or the theme's own colour."""


UPLOADER = """
<style>
.stFileUploader section button p, .stFileUploader [data-testid="stFileUploaderDropzoneInstructions"] span {{ font-size: 0; }}
.stFileUploader section button p::after {{ content: {upload}; font-size: 1rem; }}
.stFileUploader [data-testid="stFileUploaderDropzoneInstructions"] span::after {{ content: {drop}; font-size: 0.875rem; }}
</style>
"""
"""Streamlit writes its file field in English alone; what may be sent is told by the field's help."""


TABLES = """
<script>
clearInterval(window.moeVizTables);
window.moeVizTables = setInterval(() => {
  for (const frame of document.querySelectorAll('.stTable > div')) {
    const wide = frame.scrollWidth > frame.clientWidth;
    if (wide === (frame.tabIndex === 0)) continue;
    if (wide) { frame.tabIndex = 0; frame.setAttribute("role", "region"); frame.setAttribute("aria-label", %s); }
    else for (const name of ["tabindex", "role", "aria-label"]) frame.removeAttribute(name);
  }
  for (const said of document.querySelectorAll('.st-key-notices p:not(:hover, :focus)')) {
    if (said.scrollHeight > said.clientHeight + 1) { said.tabIndex = 0; said.setAttribute("role", "note"); }
    else for (const name of ["tabindex", "role"]) said.removeAttribute(name);
  }
}, 1000);
</script>
"""
"""On a phone a wide table scrolls sideways, and a notice may be longer than its line; Streamlit leaves both out of reach of the keyboard."""


def mark_heading(number: int) -> None:
    """Under which heading of the menu, counted from 0, the page stands that is drawn: Streamlit tells it only once that is open."""
    heading = f'[data-testid="stTopNav"] > .rc-overflow-item:nth-child({number + 1}) [data-testid="stTopNavSection"]'
    st.html(f"<style>{heading} {{ background: var(--st-secondary-background-color); font-weight: 600; }}</style>")


def apply() -> None:
    """Add the rules to the page; first see to it that the page stands inside the app."""
    if streamlit_patches.no_automatic_pages():
        # A link to this very page was the first thing asked of a fresh server: Streamlit then takes the folder `pages` for its old kind of
        # multipage app and runs the page alone, until something has called st.navigation.
        st.rerun()
    if language() != "en":
        # as strings of CSS, which does not know JavaScript's escapes of letters
        st.html(
            UPLOADER.format(
                upload=json.dumps(_("Choose a file"), ensure_ascii=False),
                drop=json.dumps(_("or drop it here"), ensure_ascii=False),
            )
        )
    st.html(CSS + ON_EITHER + CONTRAST)
    with st.container(key="script"):
        st.html(TABLES % json.dumps(_("Table")), unsafe_allow_javascript=True)
