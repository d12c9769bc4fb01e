"""Task `domains`: predict the next token of English, Russian, Python and tables of numbers.

Every batch takes its sequences from the four domains in equal parts, in shuffled order (a buffer that fills first come, first
served must not always drop the same domain). Each sequence knows its domain; the model does not.
"""

from __future__ import annotations

from functools import cache, cached_property

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from moe_viz.spec import RunConfig
from moe_viz.spec.knobs import N_
from moe_viz.tasks.base import Batch, ProbeLabels, Task, rows_labels, step_rng
from moe_viz.tasks.corpus import Domain, domains
from moe_viz.tasks.tokenizer import BpeTokenizer, ByteTokenizer, decode, readable_pieces, token_names

PROBE_TOKENS = 64
"""Probe tokens of each domain."""
HELD_OUT_TOKENS = {"bytes": 1024, "bpe": 512}
"""Tokens that `evaluate` scores: few enough to be read off at every snapshot (pieces cost more, their head being wider)."""
ANALYSED_TOKENS = 1024
"""Tokens of each domain in the analysis batch, and at least `LEAST_SEQUENCES` sequences of them."""
LEAST_SEQUENCES = 8
MAX_DOCUMENT = 2048
"""Most tokens of a reader's own text."""
BPE_TEXT = 150_000
"""Characters of each domain that the vocabulary is learned from, so that none crowds out the others."""
OWN_TEXT = N_("Your text")


@cache
def make_tokenizer(name: str) -> ByteTokenizer | BpeTokenizer:
    """The tokenizer of the option `tokenizer`: "bytes" or "bpe" (2,048 pieces)."""
    if name == "bytes":
        return ByteTokenizer()
    return BpeTokenizer([domain.train[:BPE_TEXT] for domain in domains()])


@cache
def _encoded(name: str) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    tokenizer = make_tokenizer(name)
    return tuple((tokenizer.encode(domain.train), tokenizer.encode(domain.held_out)) for domain in domains())


class DomainsTask(Task):
    """See the module's text. Outputs are logits [T, V]; the metric is the mean held-out loss in nats per token."""

    is_text = True

    def __init__(self, config: RunConfig, device: torch.device):
        super().__init__(config, device)
        self.domain_names = tuple(domain.name for domain in domains())
        self._tokenizer = make_tokenizer(self.options.tokenizer)
        self._data = _encoded(self.options.tokenizer)
        self.vocab_size = self._tokenizer.vocab_size
        counts = [np.bincount(train, minlength=self.vocab_size) / len(train) for train, _ in self._data]
        self.token_frequencies = sum(counts, np.zeros(self.vocab_size)) / len(self._data)
        self.held_out = self._held_out_batch()
        self.probe, self.probe_labels = self._probe()

    @property
    def n_tokens_per_sequence(self) -> int:
        return self.options.block

    def train_batch(self, step: int, seed: int) -> Batch:
        rng = step_rng(seed, step)
        rows = max(1, round(self.config.batch_tokens / self.options.block))
        domain = rng.permutation((np.arange(rows) + step) % len(self._data))
        length = self.options.block
        windows = np.empty((rows, length + 1), dtype=np.int64)
        for row, index in enumerate(domain):
            train = self._data[index][0]
            start = rng.integers(len(train) - length)
            windows[row] = train[start : start + length + 1]
        return self._batch(windows)

    def loss(self, outputs: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        per_token = F.cross_entropy(outputs, batch.targets.reshape(-1), reduction="none")
        if batch.mask is None:
            return per_token.mean(), per_token
        per_token = per_token.masked_fill(~batch.mask, 0)
        return per_token.sum() / batch.mask.sum().clamp(min=1), per_token

    def metric(self, outputs: Tensor, batch: Batch) -> Tensor:
        return (
            self.loss(outputs, batch)[0]
            if batch.mask is not None
            else F.cross_entropy(outputs, batch.targets.reshape(-1))
        )

    def encode(self, text: str) -> Tensor:
        """[n] int64 token ids on the task's device. ValueError for no text, or more than `MAX_DOCUMENT` tokens."""
        ids = self._tokenizer.encode(text)
        if not 1 <= len(ids) <= MAX_DOCUMENT:
            raise ValueError(f"the text has {len(ids)} tokens; it must have 1 to {MAX_DOCUMENT}")
        return self.tensor(ids)

    def decode(self, ids: Tensor) -> str:
        """The text of token ids; bytes that form no character become U+FFFD."""
        return decode(self._tokenizer.token_bytes(ids.reshape(-1).tolist()))

    def pieces(self, ids: Tensor) -> list[str]:
        """What to show for each token: the characters that begin in it, "·" where it only continues one."""
        return readable_pieces(self._tokenizer.token_bytes(ids.reshape(-1).tolist()))

    def ids_batch(self, ids: Tensor) -> Batch:
        """Token ids [n] in order as the fewest rows that the model can read, filled up with line breaks to equal length.

        At most rows - 1 tokens are filling, which the batch's mask tells; without filling there is no mask. The target of the last token
        is a line break.
        """
        rows = -(-len(ids) // self.options.block)
        length = -(-len(ids) // rows)
        filling = torch.full((rows * length - len(ids) + 1,), self._line_break, dtype=ids.dtype, device=ids.device)
        filled = torch.cat([ids, filling])
        inputs = filled[:-1].view(rows, length)
        mask = torch.arange(rows * length, device=ids.device) < len(ids) if rows * length > len(ids) else None
        return Batch(inputs, filled[1:].view(rows, length), inputs.reshape(-1), length, mask)

    def labels(self, batch: Batch, groups: list[str] | None = None) -> ProbeLabels:
        """Labels of a text batch. `groups` [N] names its rows; without, the rows are one text in order, the reader's own."""
        if groups is None:
            return rows_labels(self.pieces(batch.inputs), [OWN_TEXT] * len(batch.inputs), batch.group_size)
        # One token more than is shown, so that a character cut by the end of the row can still be read.
        rows = torch.cat([batch.inputs, batch.targets[:, -1:]], 1)
        return rows_labels([piece for row in rows for piece in self.pieces(row)[:-1]], groups, batch.group_size)

    @property
    def _line_break(self) -> int:
        return int(self._tokenizer.encode("\n")[0])

    def _batch(self, windows: np.ndarray) -> Batch:
        tokens = self.tensor(windows)
        inputs = tokens[:, :-1].contiguous()
        return Batch(inputs, tokens[:, 1:].contiguous(), inputs.view(-1), inputs.shape[1])

    def _held_out_batch(self) -> Batch:
        length = self.options.block
        each = max(1, HELD_OUT_TOKENS[self.options.tokenizer] // (length * len(self._data)))
        windows = []
        for _, held_out in self._data:
            starts = np.linspace(0, len(held_out) - length - 1, each).astype(int)
            windows += [held_out[start : start + length + 1] for start in starts]
        return self._batch(np.stack(windows))

    @cached_property
    def analysis(self) -> tuple[Batch, ProbeLabels]:
        length = self.options.block
        each = max(LEAST_SEQUENCES, ANALYSED_TOKENS // length)
        starts = [np.linspace(0, len(held_out) - length - 1, each).astype(int) for _, held_out in self._data]
        # taking turns, because a buffer that fills first come, first served would always turn the last domain away
        turns = [(domain, starts[domain][i]) for i in range(each) for domain in range(len(self._data))]
        windows = [self._data[domain][1][start : start + length + 1] for domain, start in turns]
        batch = self._batch(np.stack(windows))
        names = token_names(self._tokenizer.token_bytes(batch.token_ids.tolist()))
        return batch, rows_labels(names, [self.domain_names[domain] for domain, _ in turns], length)

    def _probe(self) -> tuple[Batch, ProbeLabels]:
        length = min(PROBE_TOKENS, self.options.block)
        each = PROBE_TOKENS // length
        windows, groups = [], []
        for domain in domains():
            ids = self._tokenizer.encode(_opening(domain))
            windows += [ids[i * length : (i + 1) * length + 1] for i in range(each)]
            groups += [domain.name] * each
        batch = self._batch(np.stack(windows))
        return batch, self.labels(batch, groups)


def _opening(domain: Domain, size: int = 4 * PROBE_TOKENS + 8, least: int = 72) -> str:
    """`size` held-out characters that show the domain at a glance: from a definition, or the first long line, on."""
    lines = domain.held_out.splitlines(keepends=True)
    begins = (lambda line: line.startswith("    def ")) if domain.name == "Python" else (lambda line: len(line) > least)
    first = next(i for i, line in enumerate(lines) if begins(line))
    return "".join(lines[first:])[:size]
