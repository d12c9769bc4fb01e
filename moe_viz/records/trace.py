"""RoutingTrace: how one layer routed one batch, as plain numpy. Every view reads this record, whatever wrote it.

Axes: T tokens, K routes per token (padded with -1 where a token has fewer), E experts.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

NUMBERING = "layers, experts and slots count from 0; -1 = none"
"""What the files of a record say of themselves. Tables for people count from 1 (`records/for_readers.py`)."""


@dataclass(frozen=True)
class RoutingTrace:
    """One layer's routing of one batch.

    step, layer    training step and layer (from 0); router  its registry name; capacity  slots per expert, None = dropless
    tokens [T] str text piece or patch id;  group [T] str domain label;  sequence [T] int32 which sequence or image, position [T] int32 in it
    expert [T, K] int16 (-1 = none), most weighted first;  weight [T, K] float32 combine weight the token had *before* any drop
    kept [T, K] bool;  slot [T, K] int32 (-1 = none);  probs [T, E] float32
    """

    step: int
    layer: int
    router: str
    capacity: int | None
    tokens: np.ndarray
    group: np.ndarray
    sequence: np.ndarray
    position: np.ndarray
    expert: np.ndarray
    weight: np.ndarray
    kept: np.ndarray
    slot: np.ndarray
    probs: np.ndarray

    @property
    def n_tokens(self) -> int:
        return self.expert.shape[0]

    @property
    def n_experts(self) -> int:
        return self.probs.shape[1]

    def to_frame(self) -> pd.DataFrame:
        """One row per token; list columns for the [T, K] and [T, E] fields."""
        flat = {name: getattr(self, name) for name in ("tokens", "group", "sequence", "position")}
        nested = {name: list(getattr(self, name)) for name in ("expert", "weight", "kept", "slot", "probs")}
        return pd.DataFrame({"step": self.step, "layer": self.layer, **flat, **nested})

    def to_parquet(self, path: str | Path) -> None:
        """Write the trace; scalars travel in the file's metadata, so that nothing is lost for an empty batch."""
        columns = {name: pa.array(getattr(self, name)) for name in ("tokens", "group", "sequence", "position")}
        for name in ("expert", "weight", "kept", "slot", "probs"):
            values = getattr(self, name)
            columns[name] = pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1])
        about = {"step": self.step, "layer": self.layer, "router": self.router, "capacity": self.capacity}
        metadata = {"moe_viz.trace": json.dumps(about), "moe_viz.numbering": NUMBERING}
        table = pa.table(columns).replace_schema_metadata(metadata)
        pq.write_table(table, path, compression="zstd")

    @classmethod
    def from_parquet(cls, path: str | Path) -> RoutingTrace:
        """Read what `to_parquet` wrote. Raises ValueError where the file is not a routing trace."""
        table = pq.read_table(path)
        about = (table.schema.metadata or {}).get(b"moe_viz.trace")
        if about is None:
            raise ValueError(f"{path} is not a moe_viz routing trace (no 'moe_viz.trace' metadata)")
        columns = {}
        for name in ("tokens", "group", "sequence", "position"):
            columns[name] = table[name].to_numpy(zero_copy_only=False)
        for name in ("expert", "weight", "kept", "slot", "probs"):
            column = table[name].combine_chunks()
            width = column.type.list_size
            columns[name] = column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), width)
        return cls(**json.loads(about), **columns)
