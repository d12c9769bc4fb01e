"""Text to token ids and back: raw bytes, or byte-level BPE learned from the same text when the task starts.

Both work on bytes, so that any text has ids and one rule shows a token: it carries the characters whose first byte it holds.
BPE: Sennrich, Haddow, Birch 2016 (arXiv:1508.07909), byte-level as in GPT-2, by the `tokenizers` library.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache

import numpy as np
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

VISIBLE = {"\n": "⏎", "\t": "⇥", "\r": "␍"}
CONTINUATION = "·"
"""Shown for a token that only continues a character begun by the token before it."""
BAD_BYTE = "�"


class ByteTokenizer:
    """One token for each byte of UTF-8."""

    vocab_size = 256

    def encode(self, text: str) -> np.ndarray:
        """[n] int64 ids. Raises ValueError for text with half a character in it (a lone surrogate)."""
        return np.frombuffer(_utf8(text), dtype=np.uint8).astype(np.int64)

    def token_bytes(self, ids: Iterable[int]) -> list[bytes]:
        """The bytes that each token stands for."""
        return [bytes([i]) for i in ids]


class BpeTokenizer:
    """Byte-pair pieces learned from `texts`. Training is deterministic: the same texts give the same vocabulary."""

    def __init__(self, texts: Sequence[str], vocab_size: int = 2048):
        byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
        self._tokenizer = Tokenizer(models.BPE())
        self._tokenizer.pre_tokenizer = byte_level
        alphabet = sorted(byte_level.alphabet())
        trainer = trainers.BpeTrainer(vocab_size=vocab_size, initial_alphabet=alphabet, show_progress=False)
        self._tokenizer.train_from_iterator([line for text in texts for line in _lines(text)], trainer)
        self.vocab_size = self._tokenizer.get_vocab_size()
        to_byte = _byte_level_alphabet()
        pieces = sorted(self._tokenizer.get_vocab().items(), key=lambda item: item[1])
        self._bytes = [bytes(to_byte[character] for character in piece) for piece, _ in pieces]

    def encode(self, text: str) -> np.ndarray:
        """[n] int64 ids. Raises ValueError as `ByteTokenizer` does."""
        _utf8(text)
        encodings = self._tokenizer.encode_batch_fast(_lines(text), add_special_tokens=False)
        return np.array([i for encoding in encodings for i in encoding.ids], dtype=np.int64)

    def token_bytes(self, ids: Iterable[int]) -> list[bytes]:
        """The bytes that each token stands for."""
        return [self._bytes[i] for i in ids]


def _utf8(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        half = f"U+{ord(text[error.start]):04X}"
        raise ValueError(
            f"character {error.start + 1} of the text is half of one ({half}, a lone surrogate); remove it"
        ) from error


def _lines(text: str) -> list[str]:
    # The library's time grows faster than the length of one string, and it works on many strings at once.
    return text.splitlines(keepends=True)


def _byte_level_alphabet() -> dict[str, int]:
    """Character -> byte of the byte-level alphabet: printable Latin-1 stands for itself, the other bytes follow from U+0100 on."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(b): b for b in printable} | {chr(256 + i): b for i, b in enumerate(others)}


def decode(tokens: Iterable[bytes]) -> str:
    """The text of a sequence of tokens; bytes that are no UTF-8 become U+FFFD."""
    return b"".join(tokens).decode("utf-8", errors="replace")


def readable_pieces(tokens: Sequence[bytes]) -> list[str]:
    """What to show for each token: the characters that begin in it, or `CONTINUATION` where none does.

    A continuation byte without its beginning (the text was cut inside a character) is shown as one, too; other stray bytes as U+FFFD.
    """
    owner = [index for index, token in enumerate(tokens) for _ in token]
    shown = [""] * len(tokens)
    at = 0
    for character in b"".join(tokens).decode("utf-8", errors="surrogateescape"):
        stray = ord(character) - 0xDC00 if "\udc80" <= character <= "\udcff" else None
        if stray is None:
            shown[owner[at]] += VISIBLE.get(character, character)
            at += len(character.encode("utf-8"))
        else:
            shown[owner[at]] += "" if stray < 0xC0 else BAD_BYTE
            at += 1
    return [piece or CONTINUATION for piece in shown]


def token_names(tokens: Sequence[bytes]) -> list[str]:
    """A name for each token by itself, the same for the same bytes and for no others: bytes that form no character as `<d0>`."""
    return [_name(token) for token in tokens]


@cache
def _name(token: bytes) -> str:
    text = token.decode("utf-8", errors="surrogateescape")
    return "".join(f"<{ord(c) - 0xDC00:02x}>" if "\udc80" <= c <= "\udcff" else VISIBLE.get(c, c) for c in text)
