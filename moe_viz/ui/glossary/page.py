"""The page "Glossary": every word of the lab and of what lies around it, as a map, with what one of them means beside it."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

import pandas as pd
import streamlit as st

from moe_viz.components import word_map as view
from moe_viz.lessons.glossary import glossary
from moe_viz.lessons.word_map import Live, Topic, word_map
from moe_viz.spec import RunConfig
from moe_viz.spec.knobs import N_
from moe_viz.ui.i18n import _, language
from moe_viz.ui.server import theme
from moe_viz.ui.session import address, permalink
from moe_viz.ui.widgets.tables import lazy, show_table

FIRST = "mixture_of_experts"
"""The word with which the page opens."""
CSS = """
<style>
.st-key-word_card .katex-display { overflow: visible; }
@media (max-width: 640px) { .st-key-word_card .katex-display { font-size: 0.9em; } }
</style>
"""
"""Every formula fits: none needs to be scrolled, which the keyboard could not do."""
STATE, FIND, MAP, WORD = "glossary_word", "find_word", "word_map", "word"
TOPICS: dict[Topic, str] = {
    "computing": N_("What one needs before: computer science"),
    "learning": N_("What lies around it: machines that learn"),
    "layer": N_("A layer of experts"),
    "buffers": N_("Room for tokens"),
    "balance": N_("Who gets how much"),
    "training": N_("Training"),
    "record": N_("Runs and records of this lab"),
}
LOOKS = {
    "picture": N_("Look at the picture: tokens on the left, the slots of the experts on the right."),
    "crosses": N_("Look at the crosses: each is a dropped route."),
    "probabilities": N_("Look at the view Probabilities of the picture, or point at one token."),
    "layers": N_("Look at the tabs of the layers: each layer has a router of its own."),
    "load": N_("Look at the strip of the load below the picture."),
    "loss": N_("Look at the strip of the loss below the picture."),
    "balance": N_("Look at the view Balance below the picture."),
    "specialise": N_("Look at the view Specialise below the picture."),
    "yours": N_("Look at the view Yours below the picture, and let the model write."),
    "data": N_("Look at the view Data below the picture: the whole record as a table."),
    "knobs": N_("Look at the controls at the side: each of them is one."),
    "experts_knob": N_("Turn Experts: the total grows, the work for each token does not."),
    "token": N_("Look at the first panel: a token, number by number."),
    "scores": N_("Look at the panel Scores: a score for each expert, worked out by hand."),
    "sum": N_("Look at the panel Sum: what the experts answer, added to what came in."),
    "gradient": N_("Look at the last panels: one gradient, followed back to one weight."),
    "curves": N_("Compare gates live: how each turns scores into choices."),
    "plane": N_("Look at the map: a network divides the plane among its experts."),
    "experts": N_("Look at what each expert is asked for, and at what happens without it."),
    "ledger": N_("Look at the bars: who gets tokens, and who learns."),
    "push": N_("Look at the dots: load and importance of each expert, and where the balancing loss pushes it."),
    "strips": N_("Look at the time axis: each kept moment can be gone back to."),
    "twins": N_("Look at both runs: they differ in one knob alone."),
}
"""What to look at, by the word that assets/lessons/map.yaml names."""


def draw() -> None:
    """Glossary: the map of all words, and what the chosen one means."""
    theme.apply()
    st.html(CSS)
    word = chosen()
    st.markdown("#### " + _("Glossary"))
    card, picture = st.columns([2, 3], gap="large")
    with card:
        _find(word)
        with st.container(key="word_card"):
            _card(word)
    with picture:
        _map(word)
    _list()
    address.write({"v": permalink.VERSION, "lang": language(), WORD: word})


def chosen() -> str:
    """The word that is shown: the session's; that of the address where the page is opened by one, or gone back to."""
    wanted = (address.gone_to() or {}).get(WORD)
    if STATE not in st.session_state:
        wanted = address.read().get(WORD)
    if wanted in word_map():
        st.session_state[STATE] = wanted
    return st.session_state.setdefault(STATE, FIRST)


def choose(word: object) -> None:
    """Show another word; anything that is none changes nothing."""
    if isinstance(word, str) and word in word_map():
        st.session_state[STATE] = word


def title(word: str) -> str:
    """How a word is called, with its English name beside it where the page is in another language."""
    name, english = glossary(language())[word].name, glossary("en")[word].name
    return name if name == english else f"{name} · {english}"


def _find(word: str) -> None:
    st.session_state[FIND] = word
    st.selectbox(
        _("Find a word"),
        sorted(word_map(), key=lambda one: title(one).casefold()),
        format_func=title,
        key=FIND,
        on_change=lambda: choose(st.session_state[FIND]),
        placeholder=_("Type a few letters"),
    )


def _card(word: str) -> None:
    term, place = glossary(language())[word], word_map()[word]
    st.markdown(f"##### {title(word)}")
    st.markdown(term.text)
    if place.formula:
        st.latex(place.formula)
    st.markdown("**" + _("In simple words") + "**  \n" + term.simple)
    if place.see is not None:
        _see(place.see)
    st.caption(_("Belongs to"))
    with st.container(horizontal=True, gap="xsmall", key="word_near"):
        for near in place.near:
            st.button(glossary(language())[near].name, key=f"near_{near}", on_click=choose, args=(near,))


def _see(live: Live) -> None:
    st.markdown("**" + _("See it live") + "**  \n" + _(LOOKS[live.look]))
    label = _("Open in the lab") if not live.page else _("Open the page")
    st.link_button(label, link(live), icon=":material/science:", key="see_live")


def link(live: Live) -> str:
    """The whole address that opens a page in the state in which a word can be seen; without settings, as the page opens by itself."""
    whole = urlsplit(permalink.address(RunConfig.from_flat(live.knobs), language()))
    path = f"{whole.path.rstrip('/')}/{live.page}"
    return urlunsplit(whole._replace(path=path, query=whole.query if live.knobs else f"lang={language()}"))


def _map(word: str) -> None:
    places, words = word_map(), glossary(language())
    topics = {
        _(name): [(one, words[one].name) for one, place in places.items() if place.topic == topic]
        for topic, name in TOPICS.items()
    }
    data = view.pack_words(topics, {one: place.near for one, place in places.items()}, word)
    labels = {name: _(text) for name, text in view.LABELS.items()}
    view.word_map(data, key=MAP, labels=labels, on_word=lambda: choose(view.pressed_word(MAP)))


def _list() -> None:
    with lazy(_("All words as a list"), "glossary_list") as is_open:
        if is_open:
            words = glossary(language())
            rows = [
                {
                    _("word"): title(one),
                    _("topic"): _(TOPICS[place.topic]),
                    _("definition"): words[one].text,
                    _("in simple words"): words[one].simple,
                    _("belongs to"): ", ".join(words[near].name for near in place.near),
                }
                for one, place in word_map().items()
            ]
            show_table(pd.DataFrame(rows), key="glossary_table", height=500)
