"""A file outlives the run of the page that offered it: a page that ticks makes its download buttons anew several times a second."""

from __future__ import annotations

import time
from collections import defaultdict

from streamlit.runtime.media_file_manager import MediaFileManager

KEPT_S = 10.0
"""A file or a button's offer that no page shows any more is kept this long: until the click on it, or the browser's request, has come."""
KEPT_OFFERS = 8
"""So many past offers of one button: a busy browser may be some runs behind. An offer holds its page's tables, so not more of them."""


def remove_orphaned_files(self: MediaFileManager) -> None:
    """In place of Streamlit's, which at the end of any session's run forgets what the run before it offered."""
    now = time.monotonic()
    since: dict[str, tuple[object, float]] = self.__dict__.setdefault("_moe_viz_unused_since", {})
    with self._lock:
        used = {file_id for files in self._files_by_session_and_coord.values() for file_id in files.values()}
        kept = self._file_metadata | self._deferred_callables
        unused = kept.keys() - used
        for file_id in since.keys() - unused:
            del since[file_id]
        for file_id in unused:  # a file's id is of its content: one made again has its id, and a record of its own
            if file_id not in since or since[file_id][0] is not kept[file_id]:
                since[file_id] = kept[file_id], now
        gone = {file_id for file_id in unused if now - since[file_id][1] >= KEPT_S}
        past: dict[tuple[str, str], list[str]] = defaultdict(list)
        for file_id, offer in self._deferred_callables.items():  # in the order in which they were made
            if file_id in unused:
                past[offer["session_id"], offer["element_id"] or offer["coordinates"]].append(file_id)
        for offers in past.values():
            gone.update(offers[:-KEPT_OFFERS])
        for file_id in gone:
            del since[file_id]
            if file_id in self._deferred_callables:
                self._drop_deferred_id(file_id)
            else:
                self._delete_file(file_id)
