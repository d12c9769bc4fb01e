"""What a page's buttons offer outlives the page's next runs, and is not kept for ever."""

import pytest
from streamlit.runtime import media_file_manager
from streamlit.runtime.media_file_storage import MediaFileStorageError
from streamlit.runtime.memory_media_file_storage import MemoryMediaFileStorage

from moe_viz.ui.server.streamlit_patches import files
from moe_viz.ui.server.streamlit_patches.files import KEPT_OFFERS, KEPT_S, remove_orphaned_files


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(files.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(media_file_manager, "_get_session_id", lambda: "reader")
    return now


@pytest.fixture
def manager():
    return media_file_manager.MediaFileManager(MemoryMediaFileStorage("/media"))


def run(manager, button="button", text="a,b"):
    """One run of the page's part: it offers its file anew, then Streamlit tidies up."""
    offer = manager.add_deferred(lambda: text, "text/csv", f"at {button}", "table.csv", element_id=button)
    remove_orphaned_files(manager)
    return offer


def test_a_click_on_its_way_gets_the_file_that_it_aimed_at(manager, clock):
    offers = [run(manager, text=f"run {number}") for number in range(KEPT_OFFERS + 1)]
    for number, offer in enumerate(offers):
        url = manager.execute_deferred(offer)
        assert manager.read_file(url.split("/")[-1].split(".")[0]).content == f"run {number}".encode()


def test_the_made_file_waits_for_the_browser_through_many_runs(manager, clock):
    file = manager.execute_deferred(run(manager)).split("/")[-1].split(".")[0]
    for _ in range(50):
        clock[0] += KEPT_S / 60
        run(manager)
        assert manager.read_file(file) is not None
    for _ in range(12):
        clock[0] += KEPT_S / 60
        run(manager)
    assert manager.read_file(file) is None


def test_a_file_made_again_with_the_same_content_waits_as_long_again(manager, clock):
    made = [manager.execute_deferred(run(manager))]
    run(manager)
    clock[0] += KEPT_S - 0.1
    made.append(manager.execute_deferred(run(manager)))
    assert made[0] == made[1]
    clock[0] += 0.2
    run(manager)
    assert manager.read_file(made[1].split("/")[-1].split(".")[0]) is not None
    clock[0] += KEPT_S
    run(manager)
    assert manager.read_file(made[1].split("/")[-1].split(".")[0]) is None


def test_an_offer_goes_with_its_age_or_behind_newer_ones(manager, clock):
    first = run(manager)
    for _ in range(KEPT_OFFERS + 1):
        run(manager)
    with pytest.raises(MediaFileStorageError, match="not found"):
        manager.execute_deferred(first)
    assert len(manager._deferred_callables) == KEPT_OFFERS + 1
    assert all(len(ids) == KEPT_OFFERS + 1 for ids in manager._deferred_ids_by_session.values())

    manager.clear_session_refs("reader")  # the page is closed
    remove_orphaned_files(manager)
    clock[0] += KEPT_S
    remove_orphaned_files(manager)
    assert not manager._deferred_callables and not manager._moe_viz_unused_since


def test_one_buttons_runs_do_not_take_anothers_offer(manager, clock):
    other = manager.add_deferred(lambda: "x", "text/csv", "at other", "x.csv", element_id="other")
    del manager._files_by_session_and_coord["reader"]
    for _ in range(5):
        run(manager)
    assert manager.execute_deferred(other)
