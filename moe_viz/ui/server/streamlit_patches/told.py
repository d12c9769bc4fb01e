"""What the script has told a browser of its widgets, and what that browser says before it has got it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from streamlit.proto.WidgetStates_pb2 import WidgetState, WidgetStates

PICTURES_BEHIND = 2
"""So many pictures are still to be answered before the browser has surely got what the script has set: the one perhaps on its way, and one that
was drawn since."""


@dataclass
class _Set:
    """What the browser has had of one widget, and then what the script has set it to, oldest first; whether it has repeated the last of it."""

    values: list[bytes] = field(default_factory=list)
    is_got: bool = False
    pictures: int = PICTURES_BEHIND


class Told:
    """Of one session and page: the script's thread tells, the event loop compares."""

    def __init__(self) -> None:
        self._set: dict[str, _Set] = {}
        self._lock = threading.Lock()

    def tell(self, widget: WidgetState, reported: bytes | None) -> None:
        """The script has set a widget to this, and draws it so. reported: what the browser's last request said of it."""
        said = widget.SerializeToString()
        with self._lock:
            told = self._set.setdefault(widget.id, _Set([reported] if reported is not None else []))
            told.pictures, told.is_got = PICTURES_BEHIND, False
            if said not in told.values[-1:]:
                told.values.append(said)

    def leave_what_is_behind(self, widgets: WidgetStates) -> dict[str, bytes]:
        """Take out of a request, and return, what only repeats that the browser has still to get what the script has set since.

        Any other value the reader has turned. To be asked when a request comes in and when it is run: it may wait for a run that sets more.
        """
        behind: dict[str, bytes] = {}
        with self._lock:
            for widget in [*widgets.widgets] if self._set else ():
                told, said = self._set.get(widget.id), widget.SerializeToString()
                if told is None:
                    continue
                if said == told.values[-1]:
                    told.is_got = True
                elif said in told.values and not told.is_got:
                    behind[widget.id] = said
                    widgets.widgets.remove(widget)
                else:
                    del self._set[widget.id]
        return behind

    def picture_arrives(self) -> None:
        """The browser has painted a picture that it had still to answer."""
        with self._lock:
            for name, told in [*self._set.items()]:
                told.pictures -= 1
                if not told.pictures:
                    del self._set[name]
