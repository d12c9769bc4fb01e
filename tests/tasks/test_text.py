"""Text: ids and back, how tokens are shown, the four domains and their split."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from moe_viz.spec import RunConfig
from moe_viz.tasks import make_task
from moe_viz.tasks.base import DATA
from moe_viz.tasks.corpus import domains
from moe_viz.tasks.domains import MAX_DOCUMENT, make_tokenizer
from moe_viz.tasks.tokenizer import BpeTokenizer, ByteTokenizer, decode, readable_pieces

TOKENIZERS = ["bytes", "bpe"]


def task_of(**options):
    return make_task(RunConfig(task={"name": "domains", **options}), torch.device("cpu"))


@pytest.mark.parametrize("name", TOKENIZERS)
@given(text=st.text(max_size=60))
def test_every_text_comes_back(name, text):
    tokenizer = make_tokenizer(name)
    assert decode(tokenizer.token_bytes(tokenizer.encode(text))) == text


@pytest.mark.parametrize("name", TOKENIZERS)
@given(text=st.text(alphabet=st.characters(exclude_characters="\n\t\r·", exclude_categories=["Cs"]), max_size=40))
def test_the_pieces_of_a_text_are_its_characters(name, text):
    tokens = make_tokenizer(name).token_bytes(make_tokenizer(name).encode(text))
    pieces = readable_pieces(tokens)
    assert len(pieces) == len(tokens)
    assert "".join(pieces).replace("·", "") == text


def test_russian_bytes_show_the_letter_and_then_its_continuation():
    tokenizer = ByteTokenizer()
    assert readable_pieces(tokenizer.token_bytes(tokenizer.encode("Па\n"))) == ["П", "·", "а", "·", "⏎"]
    assert readable_pieces([b"\x90", b"x", b"\xd0"]) == ["·", "x", "�"]


def test_a_vocabulary_learned_twice_is_the_same():
    texts = [domain.train[:20_000] for domain in domains()]
    first, second = BpeTokenizer(texts, 600), BpeTokenizer(texts, 600)
    assert first.vocab_size == 600
    assert first._tokenizer.to_str() == second._tokenizer.to_str()


def test_pieces_carry_more_than_bytes():
    tokenizer = make_tokenizer("bpe")
    assert tokenizer.vocab_size == 2048
    for domain in domains()[:3]:
        assert len(domain.held_out.encode()) / len(tokenizer.encode(domain.held_out)) > 2


def test_domains_are_real_and_split():
    assert [domain.name for domain in domains()] == ["English", "Russian", "Python", "Numbers"]
    for domain in domains():
        n_train, n_held_out = len(domain.train.encode()), len(domain.held_out.encode())
        assert n_train >= 100_000
        assert 0.07 < n_held_out / (n_train + n_held_out) < 0.13
        lines = [line for line in domain.held_out.splitlines() if len(line) > 60]
        assert np.mean([line in domain.train for line in lines]) < 0.1


def test_every_shipped_folder_has_a_licence_and_a_line():
    readme = (DATA / "README.md").read_text("utf-8")
    folders = [path for path in DATA.iterdir() if path.is_dir()]
    assert folders
    for folder in folders:
        assert (folder / "LICENSE").stat().st_size > 500
        assert f"`{folder.name}`" in readme
    assert sum(path.stat().st_size for path in DATA.rglob("*") if path.is_file()) < 1_000_000


def test_batches_predict_the_next_token_and_mix_the_domains():
    task = task_of()
    batch = task.train_batch(3, seed=1)
    assert batch.inputs.shape == batch.targets.shape == (16, 64) and batch.group_size == 64
    assert torch.equal(batch.inputs[:, 1:], batch.targets[:, :-1])
    assert torch.equal(batch.token_ids, batch.inputs.reshape(-1))
    rows = [bytes(row.tolist()).decode("utf-8", "ignore") for row in batch.inputs]
    found = [next(d.name for d in domains() if row in d.train) for row in rows]
    assert sorted(found) == sorted([domain.name for domain in domains()] * 4)
    assert found[:4] != found[4:8] or found[4:8] != found[8:12]  # shuffled, not in the domains' order


@pytest.mark.parametrize("options", [{}, {"block": 16}, {"block": 256}, {"tokenizer": "bpe"}])
def test_the_probe_shows_held_out_text_of_each_domain(options):
    task = task_of(**options)
    labels = task.probe_labels
    assert len(labels.tokens) == task.probe.token_ids.numel() == 256
    for domain in domains():
        text = task.decode(task.probe.token_ids[torch.from_numpy(labels.group == domain.name)])
        assert text.rstrip("�") in domain.held_out
        assert "".join(labels.tokens[labels.group == domain.name]).replace("·", "")[:20].strip()
    assert labels.position.max() + 1 == task.probe.group_size
    assert labels.sequence.max() + 1 == len(task.probe.inputs)


@pytest.mark.parametrize("length", [1, 63, 64, 65, 200, 1000])
def test_a_readers_text_becomes_rows_in_order(length):
    task = task_of()
    batch = task.ids_batch(task.encode("я" * (length // 2) + "a" * (length % 2)))
    rows, width = batch.inputs.shape
    assert width == batch.group_size <= 64 and rows * width - length < rows
    flat = batch.inputs.reshape(-1)
    assert torch.equal(flat[1:], batch.targets.reshape(-1)[:-1])
    assert set(flat[length:].tolist()) <= {ord("\n")} and batch.targets[-1, -1] == ord("\n")
    assert "".join(task.labels(batch).tokens).replace("⏎", "").count("я") == length // 2


@pytest.mark.parametrize("text", ["", "a" * (MAX_DOCUMENT + 1)])
def test_no_text_and_too_much_text_are_refused(text):
    with pytest.raises(ValueError, match=f"{len(text)} tokens; it must have 1 to {MAX_DOCUMENT}"):
        task_of().encode(text)


def test_token_frequencies_are_those_of_the_training_text():
    task = task_of()
    assert task.token_frequencies.sum() == pytest.approx(1)
    assert task.token_frequencies.argmax() in (ord(" "), 0xD0)
    assert task.token_frequencies[0xFF] == 0


@pytest.mark.parametrize("name", TOKENIZERS)
@pytest.mark.parametrize("text", ["\ud800", "fine \udfff", "\udc80a"])
def test_half_a_character_is_refused_in_words(name, text):
    with pytest.raises(ValueError, match="lone surrogate"):
        make_tokenizer(name).encode(text)
