"""What stands on a page, as a frontend has been told: the newest element at each place, and its texts and widgets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from streamlit.proto.BidiComponent_pb2 import BidiComponent
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

VALUE_FIELDS = {
    "button": "trigger_value",
    "selectbox": "string_value",
    "radio": "string_value",
    "text_input": "string_value",
    "text_area": "string_value",
    "checkbox": "bool_value",
    "number_input": "double_value",
    "button_group": "string_array_value",
    "multiselect": "string_array_value",
}
TEXT_FIELDS = {"markdown": "body", "text": "body", "alert": "body", "toast": "body", "heading": "body"}


@dataclass(slots=True)
class Place:
    """What stands at one place of the page: the undecoded delta, and the run that last wrote it."""

    message: ForwardMsg
    run: str


class PageElements:
    """The elements of one page. places: where (the path of containers) -> what stands there. Messages stay undecoded until a test asks."""

    def __init__(self) -> None:
        self.places: dict[tuple[int, ...], Place] = {}

    def text(self, key: str) -> str | None:
        """The texts inside the container with this key, in reading order, joined by spaces; None where there is no such container."""
        for where, place in self.places.items():
            block = place.message.delta.add_block
            if place.message.delta.HasField("add_block") and block.id.endswith(f"-{key}"):
                inside = sorted(w for w in self.places if w[: len(where)] == where)
                return " ".join(filter(None, (_text(self.places[w].message) for w in inside)))
        return None

    def texts(self) -> list[str]:
        """All texts of the page, in reading order."""
        return [said for where in sorted(self.places) if (said := _text(self.places[where].message))]

    def elements(self, kind: str) -> list[Any]:
        """All elements of one protobuf kind (`exception`, `vega_lite_chart`, ...), in reading order."""
        found = (self.places[where].message.delta for where in sorted(self.places))
        return [
            getattr(d.new_element, kind) for d in found if d.HasField("new_element") and d.new_element.HasField(kind)
        ]

    @property
    def errors(self) -> list[str]:
        """Tracebacks on the page: there must never be one."""
        return [f"{error.type}: {error.message}" for error in self.elements("exception")]

    def has(self, key: str) -> bool:
        """Whether the widget with this key is on the page."""
        try:
            return bool(self.widget(key))
        except KeyError:
            return False

    def widget(self, key: str) -> Place:
        for place in self.places.values():
            element = place.message.delta.new_element
            kind = element.WhichOneof("type") if place.message.delta.HasField("new_element") else None
            if (kind in VALUE_FIELDS or kind == "slider") and getattr(element, kind).id.endswith(f"-{key}"):
                return place
        raise KeyError(f"no widget {key!r} on the page")

    def page_views(self) -> Iterator[tuple[tuple[int, ...], BidiComponent]]:
        for where, place in self.places.items():
            if place.message.delta.new_element.HasField("bidi_component"):
                yield where, place.message.delta.new_element.bidi_component


def _text(message: ForwardMsg) -> str:
    element = message.delta.new_element
    kind = element.WhichOneof("type") if message.delta.HasField("new_element") else None
    return getattr(getattr(element, kind), TEXT_FIELDS[kind]) if kind in TEXT_FIELDS else ""
