"""What an address brings back on the pages that train runs of their own, and where the reader went Back to it. No browser."""

import pytest

from moe_viz.engine.storage.run_store import RunStore
from moe_viz.engine.worker.host import Host
from moe_viz.lessons.scenes import SCENES
from moe_viz.spec import RunConfig
from moe_viz.ui.collapse import run as story
from moe_viz.ui.gates import comparison as gates
from moe_viz.ui.session import address, page_state, run_cookie, watched
from moe_viz.ui.session import run as session
from moe_viz.ui.session.permalink import encode, runs_of
from moe_viz.ui.session.run import SessionRun, difference
from moe_viz.ui.session.run_cookie import Remembered
from moe_viz.ui.time_machine import sources as moments
from moe_viz.ui.twins import runs as twins
from moe_viz.ui.widgets import present
from tests.engine.fake import FakeTrainer

CLUSTERS = RunConfig(task="clusters", n_experts=4)


@pytest.fixture
def browser(tmp_path, monkeypatch):
    """A session with an engine of its own; `browser.address` is the address, `browser.back(...)` goes Back to another one."""

    class Browser:
        address, went = {}, False

        def back(self, params):
            self.address, self.went = params, True

    known = Remembered({})
    host, found = Host(FakeTrainer, RunStore(tmp_path)), Browser()
    found.known = known
    host.ready, host.revive = lambda: True, lambda: None
    for module in (watched, session, run_cookie):
        monkeypatch.setattr(module, "remembered", lambda: known, raising=False)
    for module in (watched, session, story):
        monkeypatch.setattr(module, "lease", lambda run_id: run_id)
    monkeypatch.setattr("moe_viz.ui.session.run_group.lease", lambda run_id: run_id)
    monkeypatch.setattr("moe_viz.ui.session.run_group.remembered", lambda: found.known)
    monkeypatch.setattr(story, "remembered", lambda: found.known)
    monkeypatch.setattr(watched, "engine", lambda: host)
    monkeypatch.setattr(watched, "owner", lambda: "me")
    monkeypatch.setattr(address, "read", lambda: dict(found.address))
    monkeypatch.setattr(address, "gone_to", lambda: dict(found.address) if found.went else None)
    monkeypatch.setattr(moments, "engine", lambda: host)
    for module in (session, gates, story, twins, page_state):
        monkeypatch.setattr(module.st, "session_state", {})
    found.host = host
    return found


def words_of(found):
    own = {"routers": ".".join(found.routers), "part": "compare"}
    return encode(found.base, "en", found.run_ids, **own)


def test_a_comparison_comes_back_with_its_runs_and_settings(browser):
    before = gates.Comparison(
        base=gates.Comparison().base.model_copy(update={"n_experts": 4}), routers=["topk", "soft"]
    )
    before.poll()
    browser.address = words_of(before)
    after = gates.session_comparison()
    assert (after.base, after.routers, after.run_ids) == (before.base, before.routers, before.run_ids)
    assert after.poll() is not None and after.notices == []


@pytest.mark.parametrize(
    "bad",
    [
        {"routers": "topk..nonsense.topk"},
        {"routers": ""},
        {"k": "99"},
        {"n_experts": "1"},
        {"run": "x.y"},
        {"run": "a" * 22},
    ],
)
def test_no_address_of_a_comparison_stops_the_page(browser, bad):
    browser.address = {"v": "1", "task": "clusters", "n_experts": "4", "routers": "topk.switch"} | bad
    found = gates.session_comparison()
    assert found.routers and all(found.offers(word) is not None for word in gates.TRIALS)
    assert found.poll() is not None


def test_back_turns_a_shared_knob_back_in_the_same_runs(browser):
    found = gates.arrive()
    found.poll()
    before, runs = words_of(found), list(found.run_ids)
    found.turn("balance_coef", 0.5)
    browser.back(before)
    assert gates.arrive() is found and found.run_ids == runs
    assert found.base.balance_coef == float(before["balance_coef"])


def test_back_after_another_choice_of_gates_goes_on_with_the_runs_before(browser):
    found = gates.arrive()
    found.poll()
    before, runs = words_of(found), list(found.run_ids)
    found.choose(["topk"])
    found.poll()
    browser.back(before)
    back = gates.arrive()
    assert back.routers == list(gates.FIRST) and back.run_ids == runs
    assert back.poll() is not None and back.run_ids == runs


def test_twins_come_back_with_where_they_parted(browser, monkeypatch):
    monkeypatch.setattr(twins, "SEARCH_S", 60.0)  # to its end
    before = twins.Twins(CLUSTERS, word="balance_coef", value=0.5, n_pairs=1)
    before.poll()
    assert not before.searching
    browser.address = twins.address_of(before)
    after = twins.session_twins()
    assert after.poll() is not None
    assert (after.base, after.word, after.value, after.n_pairs) == (CLUSTERS, "balance_coef", 0.5, 1)
    assert after.run_ids == before.run_ids and not after.recalls
    assert (after.parting, after.alike_until, after.trouble) == (before.parting, before.alike_until, before.trouble)


@pytest.mark.parametrize(
    "bad", [{"differs": "seed"}, {"second": "nonsense"}, {"pairs": "99"}, {"pairs": "x"}, {"run": "z"}]
)
def test_no_address_of_twins_stops_the_page(browser, bad):
    good = {"v": "1", "task": "clusters", "n_experts": "4", "differs": "balance_coef", "second": "0.5", "pairs": "1"}
    browser.address = good | bad
    found = twins.session_twins()
    assert found.base.task.name == "clusters" and found.n_pairs in (1, 3)
    assert found.poll() is not None


def test_the_address_of_twins_is_not_the_labs(browser):
    browser.address = twins.address_of(twins.Twins(CLUSTERS, run_ids=["a" * 22, "b" * 22] * 3))
    lab = session.current()
    assert lab.run_id is None and lab.notices == [] and lab.problems == []


def test_a_story_comes_back_with_what_was_measured(browser):
    scene = SCENES["clusters"]
    before = story.from_address({})
    before.poll()
    before.play_act(scene.collapse)
    before.play_act(before.offered()[0])
    for _ in range(5):
        browser.host.step_once(before.run_id)
    before.poll()
    browser.address = story.address_of(before)
    after = story.scene_run()
    assert after.poll() is not None
    assert after.run_id == before.run_id and after.scene is scene
    assert [(entry.watch, entry.needed) for entry in after.log] == [(entry.watch, entry.needed) for entry in before.log]


def test_back_plays_the_act_before(browser):
    run = story.arrive()
    run.poll()
    before = story.address_of(run)
    run.play_act(run.scene.collapse)
    browser.back(before)
    assert story.arrive() is run and [entry.act for entry in run.log] == [run.scene.healthy]


def test_back_turns_the_labs_knobs_back_and_opens_the_run_before(browser):
    run = session.arrive()
    run.poll()
    before = encode(run.config, "en", run.run_id)
    run.turn(task="clusters")
    run.turn(router="soft")
    browser.back(before)
    assert session.arrive() is run
    assert encode(run.config, "en", run.run_id) == before
    other = SessionRun(CLUSTERS)
    other.poll()
    browser.back(encode(CLUSTERS, "en", other.run_id))
    assert session.arrive().run_id == other.run_id


def test_the_difference_of_two_settings_leads_from_one_to_the_other():
    one, two = (
        RunConfig(task="domains", router={"name": "topk", "k": 2}),
        RunConfig(task="clusters", router="soft", seed=3),
    )
    assert RunConfig.from_flat(one.flat() | difference(one, one)) == one
    run = SessionRun(one)
    run.turn(**difference(one, two))
    assert run.config == two and run.notices == []


def test_an_address_names_as_many_runs_as_it_may():
    ids = [letter * 22 for letter in "abcdefghijkl"]
    assert runs_of(encode(CLUSTERS, run=ids)) == ids[:10]
    assert runs_of({"run": "short." + ids[0] + ".<b>"}) == [ids[0]]


def at_the_time_machine(browser, **place):
    """The session's machine beside a run that has its first picture, as the address with these words asks for it."""
    run_id = browser.host.open(CLUSTERS, playing=False)
    browser.address = encode(CLUSTERS, "en", run_id, **place)
    session.st.session_state.clear()
    moments.session_time_machine()  # as the page begins to be drawn, nothing has been read of the run
    session.current().poll()
    return moments.session_time_machine()


def test_the_time_machine_stands_where_its_address_says(browser):
    found = at_the_time_machine(browser, at=40, pin_a=7, pin_b=33, layer=2)
    assert (found.at, found.pins, found.layer) == (40, {"A": 7, "B": 33}, 1)
    assert found.place == {"at": 40, "pin_a": 7, "pin_b": 33, "layer": 2}
    assert encode(CLUSTERS, "en", session.current().run_id, **found.place) == browser.address


def test_back_undoes_the_last_move_and_pin_of_the_time_machine(browser):
    found = at_the_time_machine(browser)
    before = dict(browser.address)
    found.move((40, 1.0), newest=100)
    found.pin(A=40)
    browser.back(before)
    assert moments.follow_back() and moments.session_time_machine() is found
    assert found.at is None and found.pins == {"A": None, "B": None} and found.written == found.place


def test_after_a_reset_nothing_of_the_address_is_left_beside_the_run(browser):
    at_the_time_machine(browser, at=40, pin_a=7)
    run = session.current()
    run.reset()
    run.poll()
    assert moments.session_time_machine().place == {}


@pytest.mark.parametrize("bad", ["-3", "1_0", "\u0663", "1e3", "9" * 40, "x", ""])
def test_no_place_in_an_address_stops_the_time_machine(browser, bad):
    found = at_the_time_machine(browser, at=bad, pin_a=bad, layer=bad)
    assert found.place == {} and session.current().problems == []


def test_steps_that_this_start_of_the_run_has_not_come_to_are_not_pinned(browser):
    found = at_the_time_machine(browser, at=400, pin_a=7, pin_b=300)
    found.settle(newest=50)
    assert found.place == {"pin_a": 7}


def test_one_moment_on_or_back_stays_among_the_kept_ones_and_at_the_end_follows_the_run():
    machine, steps = moments.TimeMachine(), [1, 5, 9]
    seen = []
    for moment in (-1, -1, -1, 1, 1, 1):
        machine.by(moment, steps)
        seen.append(machine.at)
    assert seen == [5, 1, 1, 5, None, None]


def test_presentation_comes_with_a_link_and_goes_with_back(browser, monkeypatch):
    monkeypatch.setattr(address.st, "session_state", {})
    browser.address = {"present": "1", "task": "clusters"}
    address.follow()
    assert address.st.session_state[address.PRESENTS]
    address.follow()
    present.stay_only_on("time_machine")
    assert present.is_on()
    browser.back({"v": "1", "task": "clusters"})
    address.follow()
    assert not address.st.session_state[address.PRESENTS]


def test_a_page_without_presentation_is_not_presented_by_its_address(browser, monkeypatch):
    monkeypatch.setattr(address.st, "session_state", {})
    browser.address = {"present": "1"}
    address.follow()
    present.stay_only_on("gates")
    assert not present.is_on()


@pytest.mark.parametrize("page", ["gates", "twins"])
def test_a_group_opened_by_a_link_says_that_others_have_it_and_ones_own_does_not(browser, page):
    found = gates.session_comparison() if page == "gates" else twins.session_twins()
    found.poll()
    link = words_of(found) if page == "gates" else twins.address_of(found)
    reopen = gates.from_address if page == "gates" else twins.from_address
    assert not found.shared and not reopen(link).shared, "a reload is not a link of somebody else's"
    browser.known = Remembered({}, groups=set(run_cookie.read("", groups=True)))
    other = reopen(link)
    assert other.shared and other.run_ids == found.run_ids
    assert not reopen(link).shared, "said once"
    own = other.run_ids
    other.become_own_copy()
    assert other.poll() is not None and not other.shared and not set(other.run_ids) & set(own)
    assert browser.host.read_group(own), "those of the link stay to the others"


def test_a_story_opened_by_a_link_says_that_others_have_it_and_ones_own_does_not(browser):
    found = story.scene_run()
    found.poll()
    link = story.address_of(found)
    assert not found.shared and not story.from_address(link).shared, "a reload is not a link of somebody else's"
    browser.known = Remembered({})
    other = story.from_address(link)
    assert other.shared and other.run_id == found.run_id and other.run_id not in browser.known.runs
    assert not story.from_address(link).shared, "said once"
    other.become_own_copy()
    assert other.poll() is not None and not other.shared and other.run_id != found.run_id
    assert [entry.act for entry in other.log] == [SCENES["clusters"].healthy]
    assert browser.host.read(found.run_id), "that of the link stays to the others"


def test_groups_are_in_the_cookie_but_not_among_my_runs():
    ids = ["a" * 22, "b" * 22, "c" * 22]
    cookie = f"{ids[0]}.~{ids[1]}.!{ids[2]}"
    assert run_cookie.read(cookie) == {ids[0]: True, ids[2]: False}
    assert list(run_cookie.read(cookie, groups=True)) == [ids[1]] and not run_cookie.is_id(f"~{ids[1]}")
