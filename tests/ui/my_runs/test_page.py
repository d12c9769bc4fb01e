"""A run's id in its link, and the page "My runs", without a browser: pages and a host of small runs in one process."""

import re

import pytest
from streamlit.testing.v1 import AppTest

from moe_viz.engine.storage.run_store import RunStore
from moe_viz.spec import RunConfig
from moe_viz.training import Trainer
from moe_viz.ui.my_runs import description, row
from moe_viz.ui.my_runs import page as my_runs
from moe_viz.ui.session import run as session
from moe_viz.ui.session import run_cookie, watched
from moe_viz.ui.session.permalink import decode, encode
from moe_viz.ui.session.run_cookie import Remembered
from tests.training.conftest import small
from tests.ui.ready_host import ReadyHost

LAB = """
import streamlit as st
from moe_viz.ui.widgets.messages import explain_link, tell
from moe_viz.ui.session.run import current, write_link
run = current()
explain_link(run)
run.poll()
tell(run)
write_link()
"""
RUNS = """
from moe_viz.ui.my_runs import page as my_runs
my_runs.listing()
my_runs.importing()
"""


@pytest.fixture
def engine(monkeypatch, tmp_path):
    host = ReadyHost(Trainer, RunStore(tmp_path / "runs"))
    for module in (watched, my_runs, row):
        monkeypatch.setattr(module, "engine", lambda: host)
    return host


def page(script, link=None, known=None):
    """A new session: its address, and the runs its browser remembers."""
    at = AppTest.from_string(script, default_timeout=60)
    at.query_params.update(link or {})
    if known is not None:
        at.session_state[run_cookie.STATE] = Remembered(dict(known))
    at.run()
    assert not at.exception
    return at


def link_of(at):
    return {word: value if isinstance(value, str) else value[0] for word, value in at.query_params.items()}


def known_to(at):
    return at.session_state[run_cookie.STATE].runs


def test_a_reload_finds_the_run_and_its_browser_knows_it(engine):
    first = page(LAB, encode(small(seed=5)))
    link = link_of(first)
    assert list(known_to(first).items()) == [(link["run"], True)] and decode(link) == (small(seed=5), [])
    for _ in range(4):
        engine.step_once(link["run"])
    engine.set(link["run"], lr=0.02)
    again = page(LAB, link, known_to(first))
    run = again.session_state[session.STATE]
    assert (run.run_id, run.shared, run.latest.snapshot.step) == (link["run"], False, 4)
    assert run.config.lr == 0.02 and link_of(again)["lr"] == "0.02", "the run's own settings, not those of the old link"
    assert len(engine._runs) == 1 and not again.button


def test_a_restarted_server_finds_it_at_its_last_checkpoint(engine, monkeypatch):
    first = page(LAB, encode(small()))
    engine.step_once(link_of(first)["run"])
    engine.close()
    fresh = ReadyHost(Trainer, RunStore(engine._roster.store.root))
    monkeypatch.setattr(watched, "engine", lambda: fresh)
    run = page(LAB, link_of(first), known_to(first)).session_state[session.STATE]
    assert run.latest.snapshot.step == 1 and run.run_id == link_of(first)["run"]


def test_somebody_elses_link_says_so_and_a_copy_is_ones_own(engine):
    first = page(LAB, encode(small()))
    engine.step_once(link_of(first)["run"])
    other = page(LAB, link_of(first), {})
    assert "Everyone who has the link" in " ".join(text.value for text in other.markdown)
    assert known_to(other) == {link_of(first)["run"]: False}
    other.button(key="copy_run").click().run()
    copy = link_of(other)["run"]
    assert copy != link_of(first)["run"] and known_to(other)[copy] and not other.button
    engine.step_once(copy)
    assert engine.describe([link_of(first)["run"], copy])[0].step == 1 and engine.describe([copy])[0].step == 2
    quiet = page(LAB, link_of(first), {})
    quiet.button(key="dismiss_shared").click().run()
    assert not quiet.button and link_of(quiet) == link_of(first)


@pytest.mark.parametrize("name", ["A" * 22, "../../etc/passwd", "<b>x</b>", "x" * 5000])
def test_a_run_that_is_gone_gives_a_new_one_with_the_same_settings(engine, name):
    at = page(LAB, encode(small(seed=3)) | {"run": name})
    if at.session_state[session.STATE].run_id is None:
        assert any("not kept" in said for _when, said in at.session_state["notices"].lines)
        at.run()
    run = at.session_state[session.STATE]
    assert run.config == small(seed=3) and run.run_id in engine._runs and link_of(at)["run"] == run.run_id
    assert known_to(at) == {run.run_id: True}


def test_settings_alone_still_open_a_run_of_their_own(engine):
    link = encode(small(seed=9))
    runs = {link_of(page(LAB, link))["run"] for _ in range(2)}
    assert len(runs) == 2 and "run" not in link


def test_the_list_names_pins_opens_and_deletes(engine):
    mine, theirs = engine.open(small(seed=1), False), engine.open(RunConfig(task="clusters"), False)
    known = {mine: True, "B" * 22: True, theirs: False}
    at = page(RUNS, known=known)
    said = "\n".join(text.value for text in (*at.markdown, *at.caption))
    assert "Seed 1" in said and "opened by its link" in said and "Not kept on this server any more: 1." in said
    at.button(key="forget_missing").click().run()
    assert set(known_to(at)) == {mine, theirs}
    at.session_state[f"menu_{mine}"] = True
    engine.rename(mine, "Two *moons*")
    engine.pin(mine, True)
    said = "\n".join(text.value for text in (*at.run().markdown, *at.caption))
    assert r"Two \*moons\*" in said and "pinned" in said
    at.session_state["my_runs_doomed"] = engine.describe([mine])[0]
    at.run().button(key="delete_for_good").click().run()
    assert not engine.describe([mine]) and set(known_to(at)) == {theirs} and "deleted" in at.success[0].value


def test_where_nothing_is_kept_the_page_says_what_to_do(engine):
    at = page(RUNS, known={})
    assert "Start one in the lab" in at.info[0].value and not at.button


def test_a_file_comes_in_and_a_bad_one_is_refused(engine):
    run = engine.open(small(), False)
    engine.step_once(run)
    data = engine.export(run)
    at = page(RUNS, known={})
    at.get("file_uploader")[0].upload("run.safetensors", data, "application/octet-stream").run()
    (imported,) = known_to(at)
    assert imported != run and engine.describe([imported])[0].step == 1 and "imported" in at.success[0].value
    at.get("file_uploader")[0].upload("run.safetensors", data[:-9], "application/octet-stream").run()
    assert "cannot be imported" in at.error[0].value and len(known_to(at)) == 1


def test_the_cookie_is_read_whatever_it_holds():
    assert run_cookie.read("") == {} and run_cookie.read(";=<script>..!!x." + "a" * 99) == {}
    ids = ["a" * 22, "!" + "b" * 22]
    assert run_cookie.read(".".join([*ids, "short"])) == {"a" * 22: True, "b" * 22: False}
    assert len(run_cookie.read(".".join(f"{n:022d}" for n in range(500)))) == run_cookie.MOST


def test_settings_in_words_are_short_and_name_what_differs():
    plain = description.words(RunConfig(task="clusters").flat())
    assert "lr" not in plain and re.search(r"Experts 8", plain)
    said = description.words(RunConfig(task="clusters", lr=0.5, d_model=32, batch_tokens=64, n_layers=2).flat())
    assert "32" in said and "64" in said and description.words({"task": "gone"}) == ""
    assert description.ago(-5) == description.ago(59) == "saved just now" and description.ago(7200) == "saved 2 h ago"


def test_an_over_long_name_is_cut_and_it_is_said(engine):
    mine = engine.open(small(), playing=False)
    at = page(RUNS, known={mine: True})
    at.session_state[f"menu_{mine}"] = True
    at.run()
    field = at.text_input(key=f"name_{mine}")
    assert field.proto.max_chars == 0 and "60" in field.help
    field.set_value("n" * 75).run()
    assert engine.describe([mine])[0].name == "n" * 60
    assert any("60" in said and "15" in said for _when, said in at.session_state["notices"].lines)


def test_the_list_says_how_old_it_is_and_can_be_listed_anew(engine, monkeypatch):
    run = engine.open(small(), playing=False)
    at = page(RUNS, known={run: True})
    assert "This list is 0 s old." in [said.value for said in at.caption]
    assert [button.label for button in at.button if button.key == "list_anew"] == ["List anew"]
    assert (my_runs.old(59.9), my_runs.old(61), my_runs.old(7300)) == (
        "This list is 59 s old.",
        "This list is 1 min old.",
        "This list is 121 min old.",
    )


def test_a_script_whose_training_process_is_lost_says_how_far_it_was_and_when(engine, monkeypatch):
    from moe_viz.engine.protocol import WorkerLost

    def lost(run):
        raise WorkerLost("The training process stopped.")

    monkeypatch.setattr(engine, "read", lost)
    at = AppTest.from_string(RUNS, default_timeout=60)
    at.session_state[my_runs.PLAYED] = "a" * 22
    at.session_state[my_runs.HEARD] = (my_runs.time.monotonic() - 1000.0, 30, 80)
    at.run()
    said = " ".join(said.value for said in at.caption)
    assert re.search(r"Heard last 10\d\d s ago: step 30 of 80 of the script.", said)


def test_the_list_waits_for_the_training_process_and_says_so(engine, monkeypatch):
    monkeypatch.setattr(ReadyHost, "ready", lambda self: False)
    at = page(RUNS)
    assert [said.value for said in at.info] == ["The training process is starting…"]
