"""What a reader types or pastes as a system: read back as written, or refused in words that name the field or the line."""

import pytest
from pydantic import ValidationError

from moe_viz.systems import SYSTEMS, System
from moe_viz.systems.own import read_yaml, system_of, texts_of, write_yaml

PLAIN = {"layers": "2", "d_model": "4", "heads": "2", "kv_heads": "1", "head_dim": "3", "vocab": "7"}
MOE = {**PLAIN, "experts": "3", "k": "1", "expert_ffn": "5"}


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_system_can_be_typed_and_pasted(name):
    system = SYSTEMS[name]
    assert system_of(texts_of(system)) == (system, {})
    assert system_of(read_yaml(write_yaml(system))) == (system, {})


@pytest.mark.parametrize(
    ("typed", "field", "words"),
    [
        ({"k": "4"}, "k", "more than the 3 experts"),
        ({"layers": "0"}, "layers", "1 to 10000"),
        ({"vocab": "1000000000000"}, "vocab", "100000000"),
        ({"d_model": "wide"}, "d_model", "'wide' is not possible"),
        ({"d_model": "1.5"}, "d_model", "'1.5'"),
        ({"d_model": "9" * 5000}, "d_model", "…"),
        ({"d_model": "nan"}, "d_model", "'nan'"),
        ({"d_model": "-4"}, "d_model", "'-4'"),
        ({"d_model": "٤"}, "d_model", "'٤'"),
        ({"tied": "perhaps"}, "tied", "yes, no"),
        ({"norm": "batch"}, "norm", "rms, layer"),
        ({"heads": ""}, "heads", "heads is missing"),
        ({"mla": "1,2"}, "mla", "five whole numbers"),
        ({"mla": "1,2,3,4,5"}, "mla", "belong together"),
        ({"attention": "mla"}, "mla", "belong together"),
        ({"attention": "mla", "mla": "1,0,3,4,5"}, "mla", "from 1 to"),
        ({"kv_heads": "3"}, "kv_heads", "more than heads = 2"),
        ({"moe_layers": "3"}, "moe_layers", "more than layers = 2"),
        ({"moe_layers": "1"}, "dense_ffn", "need dense_ffn"),
        ({"expert_ffn": "", "moe_layers": "2"}, "expert_ffn", "is missing"),
        ({"experts_per_layer": "3,4"}, "experts_per_layer", "from k = 1 to experts = 3"),
        ({"experts_per_layer": "3"}, "dense_ffn", "need dense_ffn"),
        ({"experts_per_layer": "3x99999999"}, "experts_per_layer", "not possible"),
        ({"experts_per_layer": "3x0"}, "experts_per_layer", "not possible"),
        ({"encoder_layers": "2"}, "encoder_layers", "leaves none"),
        ({"kv_layers": "3"}, "kv_layers", "more than layers"),
        ({"extra": "-100000"}, "extra", "take away more weights"),
        ({"wings": "2"}, "wings", "not a field"),
    ],
)
def test_what_no_system_can_be_is_said_in_words_beside_its_field(typed, field, words):
    system, wrong = system_of({**MOE, **typed})
    assert system is None and list(wrong) == [field]
    assert words in wrong[field] and field in wrong[field] and len(wrong[field]) < 300


def test_each_wrong_field_has_its_own_sentence():
    _, wrong = system_of({**MOE, "layers": "0", "vocab": "many", "heads": ""})
    assert wrong.keys() == {"layers", "vocab", "heads"}


@pytest.mark.parametrize(
    ("field", "value"), [("k", 9), ("layers", 0), ("vocab", 10**12), ("d_model", "wide"), ("k", None)]
)
def test_a_system_made_in_python_is_refused_by_field(field, value):
    with pytest.raises(ValidationError, match=field):
        System(**{**{name: int(text) for name, text in MOE.items()}, field: value})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("layers: [1, 2", "line 1 is no YAML"),
        ("layers: 2\n\tk: 1", "line 2 is no YAML"),
        ("layers: 2\nlayers: 3", "line 2: 'layers' stands here twice"),
        ("layers: &a 2\nk: *a", "line 1: anchors"),
        ("layers: {deep: 2}", "line 1: a field holds"),
        ("mla: [[1]]", "line 1: a list"),
        ("- layers\n- k", "line 1: a list"),
        ("32", "line 1: a system is lines"),
        ("", "no field"),
        ("\x00", "characters"),
        ("a: b\n" * 4000, "at most 10000"),
        ("[" * 5000, "line 1"),
        ("!!python/object/apply:os.system ['true']", "line 1: a list"),
    ],
)
def test_broken_yaml_is_answered_with_its_line(text, words):
    with pytest.raises(ValueError) as refusal:
        read_yaml(text)
    assert words in str(refusal.value)


def test_lists_and_nothing_are_read():
    text = (
        "layers: 2 # all of them\nmla: [1536, 512, 128, 64, 128]\nexpert_ffn: null\nexperts_per_layer:\n- 64\n- 128\n"
    )
    assert read_yaml(text) == {
        "layers": "2",
        "mla": "1536,512,128,64,128",
        "expert_ffn": "",
        "experts_per_layer": "64,128",
    }
