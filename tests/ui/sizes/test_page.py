"""The page Sizes without a browser: what it shows agrees with the arithmetic, what is typed stays, what cannot be is said beside its field."""

from urllib.parse import parse_qsl

import pytest
from streamlit.testing.v1 import AppTest

from moe_viz.spec import RunConfig
from moe_viz.systems import PUBLISHED, SYSTEMS, System, count
from moe_viz.systems.miniature import miniature
from moe_viz.systems.worked import WORKED
from moe_viz.training import Trainer
from moe_viz.ui.session.permalink import address, decode
from moe_viz.ui.sizes.own import FIRST, comparison
from moe_viz.ui.sizes.page import live_line
from moe_viz.ui.sizes.rows import Row, fitting, off, rows, traffic, weights
from moe_viz.ui.sizes.state import LONGEST, Live, Memory, Sizes, from_address

SCRIPT = """
from moe_viz.ui.sizes.page import draw
draw()
"""


def opened(part, **words):
    at = AppTest.from_string(SCRIPT, default_timeout=60)
    for name, value in {"v": "1", "part": part, **words}.items():
        at.query_params[name] = value
    at.run()
    assert not at.exception
    return at


def texts(at):
    return "\n".join(element.value for element in [*at.markdown, *at.caption])


def test_all_systems_stand_in_one_table_beside_what_was_published():
    at = opened("sizes", system="DeepSeek-V3")
    table = at.dataframe[0].value
    assert list(table["System"]) == list(PUBLISHED)
    row = table[table["System"] == "DeepSeek-V3"].iloc[0]
    assert row["total, billions"] == pytest.approx(671.0264192) and row["published active"] == 37
    assert row["its convention"] == "active: no input embedding" and row["year"] == 2024
    assert row["off by, %"] == pytest.approx(0, abs=1e-9)
    assert row["source"].startswith("DeepSeek-V3 README")
    said = texts(at)
    assert "671\u202f026\u202f419\u202f200" in said and "18 of 54 totals" in said and "49 within 1 %" in said
    # what contradicts itself is said with its reason, and so is what is far off
    for name in ("Switch-XXL", "Kimi", "GShard 2048E 36L"):
        assert name.replace("-", "\\-") in said
    assert "No model trains in this session" in said


def test_memory_follows_the_chosen_precision_and_the_resident_experts():
    at = opened("sizes", system="Mixtral-8x7B")
    mixtral = count(SYSTEMS["Mixtral-8x7B"])

    def weights_shown():
        return at.dataframe[0].value.set_index("System").loc["Mixtral-8x7B", "weights, GB"]

    assert weights_shown() == pytest.approx(mixtral.weight_bytes(2) / 1e9)
    at.selectbox(key="sizes_bits").set_value(8).run()
    assert weights_shown() == pytest.approx(mixtral.weight_bytes(1) / 1e9)
    at.selectbox(key="sizes_resident").set_value(2).run()
    assert weights_shown() == pytest.approx(mixtral.weight_bytes(1, experts=2) / 1e9)
    at.selectbox(key="sizes_expert_bits").set_value(4).run()
    assert weights_shown() == pytest.approx(mixtral.weight_bytes(1, experts=2, expert_bytes=0.5) / 1e9)
    assert not at.exception


def test_the_smallest_card_that_holds_it():
    assert [fitting(n * 1e9) for n in (20, 24.1, 79, 81, 288, 289)] == [
        "RTX 4090",
        "RTX 5090",
        "A100",
        "H200",
        "MI355X",
        "2 × MI355X",
    ]
    gpt = Row("", SYSTEMS["gpt-oss-120b"])
    assert fitting(weights(gpt, Memory(expert_bits=4.25))) == "A100"
    assert fitting(weights(gpt, Memory())) == "MI325X"
    assert traffic(gpt, Memory(ranks=1)) == 0


def test_a_number_that_is_typed_moves_the_others_and_stays():
    at = opened("own", base="Mixtral-8x7B")
    before = at.table[0].value
    assert list(before.columns) == ["Mixtral-8x7B", "your own", "change"]
    assert before.loc["all weights", "change"] == "+0.0%"
    at.text_input(key="own_experts").set_value("16").run()
    after = at.table[0].value
    bigger = SYSTEMS["Mixtral-8x7B"].model_copy(update={"experts": 16})
    assert after.loc["all weights", "your own"] == f"{count(bigger).total / 1e9:.4g} B"
    assert after.loc["active: all", "change"] == "+0.0%"
    assert at.query_params["own"] == "experts:16"


def test_what_cannot_be_is_said_beside_its_field_and_nothing_typed_is_lost():
    at = opened("own", base="Mixtral-8x7B")
    at.text_input(key="own_vocab").set_value("1000000000000").run()
    at.text_input(key="own_d_model").set_value("wide [x](http://a.b)").run()
    at.text_input(key="own_k").set_value("9").run()
    said = texts(at)
    assert "vocab = '1000000000000' is not possible" in said.replace("\\", "") and "100000000" in said
    assert "d_model = 'wide [x](http:" in said.replace("\\", "") and "](http" not in said
    assert [at.text_input(key=f"own_{name}").value for name in ("vocab", "d_model", "k")] == [
        "1000000000000",
        "wide [x](http://a.b)",
        "9",
    ]
    assert not at.table and "come back" in at.info[0].value
    # another part of the page, and back
    at.segmented_control(key="sizes_part").set_value("worked").run()
    at.segmented_control(key="sizes_part").set_value("own").run()
    assert at.text_input(key="own_k").value == "9"
    at.text_input(key="own_vocab").set_value("32000").run()
    at.text_input(key="own_d_model").set_value("4096").run()
    assert "k = 9 is more than the 8 experts" in texts(at).replace("\\", "")
    at.text_input(key="own_k").set_value("8").run()
    assert at.table and not at.exception


def test_an_address_brings_the_same_own_system_back():
    page = Sizes()
    page.begin_from("OLMoE-1B-7B-0924")
    page.texts |= {"k": "4", "layers": "seventeen"}
    again = from_address({"part": "own", "base": page.base, "own": page.own_word, "system": "DBRX"})
    assert again.texts == page.texts and again.changes == {"k": "4", "layers": "seventeen"}
    assert (again.part, again.system) == ("own", "DBRX")
    odd = from_address({"part": "x", "base": "GPT-5", "own": "k:3~nonsense~wings:2~layers:4:5", "system": "<b>"})
    assert (odd.part, odd.system, odd.base) == ("sizes", "DeepSeek-V3", "Mixtral-8x7B")
    assert odd.changes == {"k": "3", "layers": "4:5"}  # said to be no number beside its field
    assert from_address({"own": "k:9"}).changes == {"k": "9"}  # a link that somebody typed
    # one that no address can hold stays as it was typed
    page.texts["experts_per_layer"] = "1," * LONGEST
    assert page.own_word == "" and from_address({"base": "DBRX"}, page).texts["k"] == "4"


def test_broken_yaml_is_answered_and_stays_and_good_yaml_fills_the_fields():
    at = AppTest.from_string(
        SCRIPT.replace("draw()", "import streamlit as st; st.session_state.own_text = True; draw()")
    )
    at.query_params["part"] = "own"
    at.run(timeout=60)
    if not at.text_area:  # the fold is closed: it is opened as a browser does
        pytest.fail("the fold with the text did not open")
    at.text_area(key="own_yaml").set_value("layers: [1").run()
    at.button(key="own_use").click().run()
    assert "line 1 is no YAML" in at.error[0].value.replace("\\", "")
    assert at.text_area(key="own_yaml").value == "layers: [1"
    good = (
        "layers: 2\nd_model: 4\nheads: 2\nkv_heads: 1\nhead_dim: 3\nvocab: 7\nexperts: 3\nexpert_ffn: 5\ngated: yes\n"
    )
    at.text_area(key="own_yaml").set_value(good).run()
    at.button(key="own_use").click().run()
    assert not at.error and at.text_input(key="own_expert_ffn").value == "5"
    assert at.table[0].value.loc["one expert", "your own"] == "60"


def test_the_live_model_is_a_row_and_tensors_and_rule_agree():
    trainer = Trainer(RunConfig(task="domains", router={"name": "topk", "k": 2}, n_experts=4, d_model=16, d_hidden=16))
    live = Live.of(trainer.config, trainer.model_size())
    first = next(rows(Sizes(live=live)))
    assert first.published is None and first.count.total == live.size.total == sum(
        p.numel() for p in trainer.model.parameters()
    )
    varying = Live.of(RunConfig(task="clusters", router="soft"), trainer.model_size())
    assert not varying.k_is_fixed
    at = AppTest.from_function(
        _live_script, kwargs={"live": live, "line": live_line, "page": Sizes}, default_timeout=30
    ).run()
    assert (
        "the rule gives the same" in at.markdown[0].value
        and f"{live.size.total:,}".replace(",", "\u202f") in at.markdown[0].value
    )


def _live_script(live, line, page):
    line(page(live=live))


def test_a_cards_link_opens_its_miniature():
    for name in PUBLISHED:
        wanted = miniature(name).config
        found, problems = decode(dict(parse_qsl(address(wanted).partition("?")[2])))
        assert not problems and found == wanted, name


def test_cards_are_found_by_what_they_say():
    at = opened("cards")
    labels = [box.label for box in at.expander]
    assert len(labels) == len(PUBLISHED) and "2026" in labels[0] and "2020" in labels[-1]
    at.text_input(key="sizes_search").set_value("cc-by-nc").run()
    assert len(at.expander) == 1 and "NLLB" in at.expander[0].label


def test_every_calculation_shows_each_of_its_lines():
    at = opened("worked")
    said = texts(at).replace("\\", "")
    for make in WORKED:
        worked = make()
        assert worked.title in said and worked.source in said
        assert all(f"**{line.result}**" in said for line in worked.lines)


def test_the_comparison_speaks_of_both_systems():
    table = comparison(count(SYSTEMS["DBRX"]), count(SYSTEMS["DBRX"]), Memory(), "DBRX")
    assert set(table["change"]) == {"+0.0%", ""}
    assert set(FIRST) <= System.model_fields.keys()
    assert off(PUBLISHED["Mixtral-8x7B"]) == pytest.approx(0, abs=1e-12)
