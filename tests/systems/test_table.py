"""The table of published systems: complete, with sources, and refused with its line where it is not as it should be."""

import re

import pytest

from moe_viz.spec import ROUTER_OPTIONS
from moe_viz.systems import PUBLISHED, SYSTEMS
from moe_viz.systems.system import CONVENTIONS
from moe_viz.systems.table import ACCELERATORS, CLAIMS, FOLDER, NAMES, numbers, read_table, translations, translator


def test_every_row_names_its_source_and_uses_our_words():
    assert PUBLISHED.keys() == SYSTEMS.keys()
    for one in PUBLISHED.values():
        assert one.source and one.trick and len(one.trick.split()) <= 13 and one.licence
        assert one.gate in ("", *ROUTER_OPTIONS)
        assert one.convention in ("", *CONVENTIONS) and bool(one.convention) == (one.active_b is not None)
        assert 2020 <= one.year <= 2026 and one.total_b
    assert not PUBLISHED["PaLM-540B"].released and PUBLISHED["Grok-1"].released
    assert PUBLISHED["OLMoE-1B-7B-0924"].instruct and not PUBLISHED["Switch-C"].instruct


def test_repeats_in_a_list():
    assert numbers("64x2,128") == (64, 64, 128)
    assert SYSTEMS["DeepSpeed 1.3B+PR-MoE-64/128"].experts_per_layer == (64,) * 10 + (128,) * 2
    for bad in ("", "a", "1x", "1x0", "1,,2"):
        with pytest.raises(ValueError):
            numbers(bad)


def test_a_row_that_is_no_system_is_named_by_its_line(tmp_path):
    lines = (FOLDER / "systems.tsv").read_text(encoding="utf-8").splitlines()
    lines[3] = lines[3].replace("\t64\t8\t", "\t64\t80\t")
    path = tmp_path / "systems.tsv"
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(ValueError, match=r"line 4: .*(?s:.)*k = 80 is more"):
        read_table(path, {})


def texts():
    """Every text of the tables that a reader sees as prose."""
    for one in PUBLISHED.values():
        yield from filter(None, (one.trick, one.note, one.claim))


@pytest.mark.parametrize("language", NAMES)
def test_every_text_of_the_tables_is_translated_with_all_its_numbers(language):
    known = translations(language)
    assert {text for text in texts() if text not in known} == set()
    assert not known.keys() - {*texts(), *(one.licence for one in PUBLISHED.values())}  # nothing idle

    def figures(text):
        return sorted(re.findall(r"\d+", re.sub(r"(?<=\d)[ ,](?=\d{3}\b)", "", text)))

    for english in {*texts()}:
        lost = set(figures(english)) - set(figures(known[english]))
        assert not {each for each in lost if len(each) > 2 or "." in each}, english
    assert translator("en")("Apache-2.0") == translator(language)("Apache-2.0") == "Apache-2.0"


def test_claims_belong_to_systems_and_name_where_they_were_made():
    assert CLAIMS.keys() <= PUBLISHED.keys()
    assert all(row["claim"] and row["source"] for row in CLAIMS.values())


def test_accelerators_have_a_source():
    assert all(card.gigabytes >= 16 and card.source for card in ACCELERATORS)
    assert len({card.name for card in ACCELERATORS}) == len(ACCELERATORS)
