"""All that we use of Streamlit's private parts, and nothing else of ours: another version may change them, so the package refuses others.

`options`: its options; `context`: what only it knows of its server and of the run in progress. `requests` and `guard` let no click be lost or
undone by what a page does by itself, and answer no message that no page of ours sends: races and open ends of Streamlit 1.67, closed where
requests come in and are run. `files` keeps what a button offers until the click on it has come.

*A tick of the page just left.* Between a click on another page and that page's arrival, a fragment's timer asks for a run of the *old* page; the
server has still to forget that page's fragments, so it accepts, declares the old page current again, and the browser empties the new one.
*A tick that carries a press.* Between the press of a button and the request that carries it, the timer's request carries the press too, which
then counts twice: Pause, then Play.
*Two runs at once.* A request for the whole page does not wait for the run at work: that is told to stop and goes on to its next widget beside the
new one, both over one state of the session, each behind a lock of its own. The old one may put back what the new one was told, and a run that
is stopped before it has begun takes the press that it was for with it.
*A tick that is behind.* Every request repeats the values of all widgets, as the browser last had them. A tick sent before a value that the script
has set (another gate's k, a knob that somebody else turned) has reached the browser would turn it back; so would a press, or any turn, of a
reader faster than the line (`told`).
*A turn that joins an answer.* The browser sends what changes in one moment as one request, for the part of whatever came first: a knob beside a
view that has just answered is turned, but the page with the knob on it, and the address, are not drawn anew.
*A run's last words.* A fragment asked for just as a run of the page has ended makes the server leave what that run drew last unsent.
*A line slower than the page.* Timers ask whether or not the browser has got the last picture (see `in_flight`): no tick is run while one is on
its way; what a press draws goes at once.

*A file that is gone.* Each run of a page offers its files anew and forgets what it offered before, at which a click on its way may aim.

There is no setting for any of them (without `fastReruns`, clicks on the other pages get lost instead).
May import: `components` (the name of its connection), `ui.server.in_flight`. Must not know: a page, or what the rest of `ui` does.
"""

from moe_viz.ui.server.streamlit_patches.context import (
    addresses,
    files_held,
    in_a_part,
    open_pages,
    presses_heard,
    session_id,
    set_timer,
    went_through_history,
)
from moe_viz.ui.server.streamlit_patches.guard import guard
from moe_viz.ui.server.streamlit_patches.options import (
    index_html,
    no_automatic_pages,
    options_given,
    run,
    set_options,
    set_options_left_open,
)

__all__ = [
    "addresses",
    "files_held",
    "guard",
    "in_a_part",
    "index_html",
    "no_automatic_pages",
    "open_pages",
    "options_given",
    "presses_heard",
    "run",
    "session_id",
    "set_options",
    "set_options_left_open",
    "set_timer",
    "went_through_history",
]
