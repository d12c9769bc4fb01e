"""A small decoder-only Transformer language model whose feed-forward parts are MoE layers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from moe_viz.models.base import Model, init_weights, make_moe_layer
from moe_viz.models.transformer import Block
from moe_viz.spec import RunConfig
from moe_viz.tasks import Batch, Task, observing


class LanguageModel(Model):
    """Token and position embeddings, `n_layers` causal blocks, an untied head. Outputs: logits [T, V]."""

    def __init__(self, config: RunConfig, task: Task):
        super().__init__(config)
        self.block_size = config.task.block
        self.token = nn.Embedding(task.vocab_size, config.d_model)
        self.position = nn.Embedding(self.block_size, config.d_model)
        blocks = [Block(config.d_model, make_moe_layer(config, task), causal=True) for _ in range(config.n_layers)]
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.LayerNorm(config.d_model)
        self.head = nn.Linear(config.d_model, task.vocab_size, bias=False)
        for part in (self.token, self.position, self.head):
            part.apply(init_weights)
        self.moe_layers = [block.moe for block in blocks]

    def forward(self, batch: Batch) -> Tensor:
        """Logits [T, V]. ValueError where a sequence is longer than the model's positions."""
        length = batch.inputs.shape[1]
        if length > self.block_size:
            raise ValueError(f"a sequence of {length} tokens is longer than the model's {self.block_size} positions")
        x = self.token(batch.inputs) + self.position.weight[:length]
        shared, routings = self.shared_vector, []
        for block in self.blocks:
            x, routing = block(x, batch.token_ids, shared, batch.mask)
            routings.append(routing)
        self.routings = routings
        return self.head(self.norm(x)).flatten(0, 1)

    def generate(
        self, prompt_ids: Tensor, n_tokens: int, temperature: float, generator: torch.Generator | None = None
    ) -> Tensor:
        """The prompt [n] followed by `n_tokens` sampled tokens: [n + n_tokens] int64.

        The model sees at most its last `block` tokens. temperature 0 takes the likeliest token; `generator` lives on the CPU, so
        that every device draws the same numbers. Training is left as it was.
        """
        if prompt_ids.numel() == 0 or temperature < 0:
            raise ValueError(
                f"generate needs a prompt and a temperature >= 0, not {len(prompt_ids)} tokens at {temperature}"
            )
        ids = prompt_ids
        with observing(self):
            for _ in range(n_tokens):
                window = ids[-self.block_size :]
                logits = self(Batch(window[None], window[None], window, len(window)))[-1].float().cpu()
                if temperature == 0:
                    chosen = logits.argmax(-1, keepdim=True)
                else:
                    chosen = torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)
                ids = torch.cat([ids, chosen.to(ids.device)])
        return ids
