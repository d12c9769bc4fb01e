"""Links: what is written is read back, and nothing that can stand in a link raises."""

from types import SimpleNamespace
from urllib.parse import parse_qsl

import pytest
import streamlit
from hypothesis import given
from hypothesis import strategies as st

from moe_viz.spec import ROUTER_OPTIONS, TASK_OPTIONS, RunConfig
from moe_viz.ui.session.permalink import address, decode, encode

WORDS = sorted(set(RunConfig().flat()) | {"v", "made", "lang", "zzz"})


@pytest.mark.parametrize("router", ROUTER_OPTIONS)
@pytest.mark.parametrize("task", TASK_OPTIONS)
def test_round_trip(task, router):
    config = RunConfig.from_flat({"task": task, "router": router, "seed": 7, "lr": 0.0025, "speed": 2})
    assert decode(encode(config)) == (config, [])


def test_link_carries_every_value_and_is_readable():
    params = encode(RunConfig(router={"name": "switch", "k": 1}), "ru")
    assert params["v"] == "1" and params["router"] == "switch" and params["k"] == "1" and params["lang"] == "ru"
    assert params["capacity_factor"] == "none"
    assert RunConfig().flat().keys() - RunConfig().router.model_dump().keys() <= params.keys()


def test_out_of_range_falls_back_and_names_field_value_and_range():
    config, found = decode({"router": "topk", "k": "99", "lr": "fast", "n_experts": "4"})
    assert config.router.k == 2 and config.lr == RunConfig().lr and config.n_experts == 4
    by_word = {problem.word: problem for problem in found}
    assert by_word["k"].value == "99" and "1 to 16" in by_word["k"].rule and by_word["k"].used == "2"
    assert by_word["lr"].value == "fast" and "above 0 to 1" in by_word["lr"].rule


def test_rules_between_words_are_explained():
    config, found = decode({"router": "topk", "k": "8", "n_experts": "4"})
    assert config.n_experts == 4 or config.router.k == 8
    assert len(found) == 1 and "more than the 4 experts" in found[0].rule
    config, found = decode({"router": "topk", "k": "1", "renormalize": "before_drop"})
    assert len(found) == 1 and "no gradient" in found[0].rule


def test_one_expert_with_its_k_is_a_good_link():
    config, found = decode({"router": "topk", "k": "1", "n_experts": "1", "renormalize": "never"})
    assert not found and config.n_experts == 1


def test_unknown_words_and_versions_are_reported():
    _, found = decode({"v": "9", "router": "telepathy", "utm": "x"})
    assert {problem.word for problem in found} == {"v", "router", "utm"}


@given(
    st.dictionaries(
        st.sampled_from(WORDS),
        st.text(max_size=20) | st.sampled_from(["nan", "inf", "-1", "1e400", "none", "1", "0", "topk", "switch"]),
    )
)
def test_no_link_raises(params):
    config, _ = decode(params)
    assert decode(encode(config)) == (config, [])


@pytest.mark.parametrize(("prefix", "place"), [("", "/"), ("moe", "/moe/"), ("/a/b/", "/a/b/")])
def test_a_whole_link_knows_the_path_below_which_the_lab_is_served(monkeypatch, prefix, place):
    monkeypatch.setattr(streamlit, "get_option", {"server.baseUrlPath": prefix}.get)
    here = SimpleNamespace(url=f"https://lab.example:8443{place}gates")
    monkeypatch.setattr(streamlit, "context", here)
    link = address(RunConfig(seed=3), "ru", "A" * 20)
    assert link.partition("?")[0] == f"https://lab.example:8443{place}"
    assert dict(parse_qsl(link.partition("?")[2])) == encode(RunConfig(seed=3), "ru", "A" * 20)
    here.url = None  # not known before the browser has said it
    assert address(RunConfig()).startswith(f"{place}?v=1&")


def test_a_link_of_an_earlier_version_says_what_has_changed_for_its_run():
    old = {word: text for word, text in encode(RunConfig()).items() if word != "made"}
    config, found = decode(old)
    assert config == RunConfig() and ["CPython 3.11.7" in problem.since for problem in found] == [True]
    assert [problem.since for problem in decode(old | {"made": "0.1.9"})[1]] == [found[0].since]
    assert decode(old | {"made": "0.2.0"})[1] == decode(old | {"made": "12.0"})[1] == []
    assert decode(encode(RunConfig(task="clusters")) | {"made": ""})[1] == [], "its data are as they were"
    assert decode({"task": "domains", "k": "2"})[1] == [], "typed by hand: it means today's"
    for nonsense in ("x" * 5000, "1.-2", "٣.1", "0.1.0<b>"):
        assert [problem.word for problem in decode(old | {"made": nonsense})[1]] == ["made"]


@pytest.mark.parametrize(
    "text", ["1_0e-3", "１", "٣", "nan", "inf", "-inf", "1e400", " 1", "1\n", "0x1", "+1", "1__0", ""]
)
def test_what_only_python_reads_as_a_number_is_reported(text):
    default = RunConfig()
    for word in ("lr", "n_experts", "capacity_factor", "seed"):
        config, found = decode({word: text})
        assert config == default, word
        assert [(problem.word, problem.value != "" or text.strip() == "") for problem in found] == [(word, True)]


@pytest.mark.parametrize("text", [".01", "0.01", "1e-2", "1E-02", "0.010000"])
def test_numbers_as_people_write_them_are_read(text):
    config, found = decode({"lr": text})
    assert config.lr == 0.01 and found == []
