"""Keyframes: the probe batch's routing at many moments of a run, packed small, so that a run can be played back.

Token texts and labels are kept once per probe batch; experts, weights, slots and probabilities are narrowed (int8 or int16,
float16, packed bits) and compressed. When the byte budget is full, the keyframes that stand closest together are thinned first.
A budget may shrink while a run goes on: then every second of the older keyframes goes until the rest fits.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from moe_viz.records.trace import RoutingTrace

CODEC = pa.Codec("zstd", compression_level=1)
FULL_RESOLUTION = 32
"""The newest keyframes that thinning leaves alone (the budget itself still holds)."""


@dataclass(frozen=True)
class Keyframe:
    """The probe batch's routing at one moment, one trace per layer. Floats have float16 precision (about 3 digits)."""

    epoch: int
    step: int
    traces: list[RoutingTrace]


@dataclass(frozen=True)
class _Packed:
    layer: int
    router: str
    capacity: int | None
    shape: tuple[int, int, int]  # T, K, E
    batch: int
    payload: bytes


@dataclass(frozen=True)
class _Frame:
    epoch: int
    step: int
    layers: list[_Packed]

    @property
    def nbytes(self) -> int:
        return sum(len(packed.payload) + 200 for packed in self.layers)


def _fields(shape: tuple[int, int, int]) -> dict[str, tuple[np.dtype, tuple[int, ...]]]:
    """Stored dtype and shape of each packed field; `kept` is stored as bits."""
    n_tokens, k, n_experts = shape
    return {
        "expert": (np.dtype(np.int8 if n_experts <= 127 else np.int16), (n_tokens, k)),
        "slot": (np.dtype(np.int16 if n_tokens * max(k, 1) <= 32767 else np.int32), (n_tokens, k)),
        "weight": (np.dtype(np.float16), (n_tokens, k)),
        "probs": (np.dtype(np.float16), (n_tokens, n_experts)),
        "kept": (np.dtype(np.uint8), ((n_tokens * k + 7) // 8,)),
    }


def _pack(trace: RoutingTrace, batch: int) -> _Packed:
    shape = (*trace.expert.shape, trace.n_experts)
    parts = []
    for name, (dtype, _) in _fields(shape).items():
        values = np.packbits(trace.kept) if name == "kept" else getattr(trace, name)
        parts.append(np.ascontiguousarray(values, dtype=dtype).tobytes())
    payload = CODEC.compress(b"".join(parts), asbytes=True)
    return _Packed(trace.layer, trace.router, trace.capacity, shape, batch, payload)


def _unpack(packed: _Packed, step: int, batch: dict[str, np.ndarray]) -> RoutingTrace:
    fields = _fields(packed.shape)
    sizes = {name: dtype.itemsize * int(np.prod(shape)) for name, (dtype, shape) in fields.items()}
    # the size is known from the shape: a damaged or hostile payload cannot make us allocate more than that
    raw = CODEC.decompress(packed.payload, decompressed_size=sum(sizes.values()), asbytes=True)
    values, start = {}, 0
    for name, (dtype, shape) in fields.items():
        values[name] = np.frombuffer(raw, dtype, offset=start, count=int(np.prod(shape))).reshape(shape)
        start += sizes[name]
    n_tokens, k, _ = packed.shape
    values["kept"] = np.unpackbits(values["kept"], count=n_tokens * k).reshape(n_tokens, k).astype(bool)
    widths = {"expert": np.int16, "slot": np.int32, "weight": np.float32, "probs": np.float32, "kept": bool}
    values = {name: values[name].astype(width) for name, width in widths.items()}
    return RoutingTrace(step, packed.layer, packed.router, packed.capacity, **batch, **values)


class Keyframes:
    """Keyframes of one run in at most `max_bytes`. Steps rise within an epoch; an epoch is one (re)start of the run."""

    def __init__(self, max_bytes: int = 18_000_000):
        self.max_bytes = max_bytes
        self._frames: list[_Frame] = []
        self._batches: dict[int, dict[str, np.ndarray]] = {}
        self._next_batch = 0

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def nbytes(self) -> int:
        """Bytes held (payloads and token labels)."""
        labels = sum(array.nbytes for batch in self._batches.values() for array in batch.values())
        return labels + sum(frame.nbytes for frame in self._frames)

    def add(self, epoch: int, step: int, traces: Sequence[RoutingTrace]) -> None:
        """Keep this moment (one trace per layer). The same (epoch, step) again replaces the older one."""
        if not traces:
            return
        if self._frames and (epoch, step) < (self._frames[-1].epoch, self._frames[-1].step):
            last = (self._frames[-1].epoch, self._frames[-1].step)
            raise ValueError(f"keyframe (epoch, step) = {(epoch, step)} is before the last one, {last}")
        if self._frames and (epoch, step) == (self._frames[-1].epoch, self._frames[-1].step):
            self._frames.pop()
        packed = [_pack(trace, self._batch_id({name: getattr(trace, name) for name in _LABELS})) for trace in traces]
        self._frames.append(_Frame(epoch, step, packed))
        size = self.nbytes
        while size > self.max_bytes and len(self._frames) > 1:
            self._frames.pop(self._most_crowded())
            self._forget_unused_batches()
            size = self.nbytes

    def shrink(self, max_bytes: int) -> None:
        """Another budget. Where much has to go, every second of the older keyframes does: the whole run stays covered."""
        self.max_bytes = max_bytes
        while self.nbytes > max_bytes and len(self._frames) > 2 * FULL_RESOLUTION:
            older = self._frames[:-FULL_RESOLUTION]
            first = [i == 0 or frame.epoch != older[i - 1].epoch for i, frame in enumerate(older)]
            self._frames[:-FULL_RESOLUTION] = [f for i, f in enumerate(older) if first[i] or i % 2 == 0]
            if len(self._frames) == len(older) + FULL_RESOLUTION:
                break
            self._forget_unused_batches()

    def steps(self, epoch: int | None = None) -> list[tuple[int, int]]:
        """(epoch, step) of each keyframe held, oldest first; of one epoch where given."""
        return [(frame.epoch, frame.step) for frame in self._frames if epoch in (None, frame.epoch)]

    def nearest(self, step: int, epoch: int | None = None) -> Keyframe | None:
        """The keyframe nearest to `step` (the earlier one where two are equally near) of `epoch`, by default the newest; None if there is none."""
        if epoch is None and self._frames:
            epoch = self._frames[-1].epoch
        candidates = [frame for frame in self._frames if frame.epoch == epoch]
        if not candidates:
            return None
        frame = min(candidates, key=lambda frame: (abs(frame.step - step), frame.step))
        return Keyframe(frame.epoch, frame.step, [_unpack(p, frame.step, self._batches[p.batch]) for p in frame.layers])

    def first_choices(self, layer: int, epoch: int, limit: int = 64) -> tuple[list[int], np.ndarray]:
        """Steps of at most `limit` keyframes of one epoch, evenly chosen with both ends, and the tokens' first experts: [S, T] int16, -1 = none.

        Keyframes of another probe batch than the newest are left out. Raises ValueError where there is no such layer.
        """
        frames = [frame for frame in self._frames if frame.epoch == epoch]
        if not frames:
            return [], np.empty((0, 0), np.int16)
        if not 0 <= layer < len(frames[-1].layers):
            raise ValueError(f"layer {layer} is not one of the {len(frames[-1].layers)} layers of the run")
        newest = frames[-1].layers[layer].batch
        frames = [frame for frame in frames if frame.layers[layer].batch == newest]
        picked = np.unique(np.linspace(0, len(frames) - 1, min(limit, len(frames))).round().astype(int))
        traces = [_unpack(frames[i].layers[layer], frames[i].step, self._batches[newest]) for i in picked]
        none = np.full(traces[0].n_tokens, -1, np.int16)
        return [frames[i].step for i in picked], np.stack(
            [t.expert[:, 0] if t.expert.shape[1] else none for t in traces]
        )

    def _batch_id(self, labels: dict[str, np.ndarray]) -> int:
        for key, batch in reversed(self._batches.items()):
            if all(batch[name] is labels[name] or np.array_equal(batch[name], labels[name]) for name in batch):
                return key
        self._next_batch += 1
        self._batches[self._next_batch] = labels
        return self._next_batch

    def _forget_unused_batches(self) -> None:
        used = {packed.batch for frame in self._frames for packed in frame.layers}
        self._batches = {key: batch for key, batch in self._batches.items() if key in used}

    def _most_crowded(self) -> int:
        """Index of the keyframe whose removal leaves the smallest gap in time; the first of an epoch only when nothing else is left."""
        last = len(self._frames) - min(FULL_RESOLUTION, len(self._frames) // 2)
        gaps = [(np.inf, 0)]
        for i in range(1, last):
            before, here, after = self._frames[i - 1 : i + 2]
            if before.epoch == here.epoch == after.epoch:
                gaps.append((after.step - before.step, i))
        return min(gaps)[1]

    def to_parquet(self, path: str | Path | BinaryIO) -> None:
        """Write all keyframes; one row per keyframe and layer."""
        rows = [
            {"epoch": f.epoch, "step": f.step, **{name: getattr(p, name) for name in _COLUMNS}}
            for f in self._frames
            for p in f.layers
        ]
        batches = {key: {n: a.tolist() for n, a in batch.items()} for key, batch in self._batches.items()}
        about = json.dumps({"max_bytes": self.max_bytes, "batches": batches})
        table = pa.Table.from_pylist(rows, schema=_SCHEMA).replace_schema_metadata({"moe_viz.keyframes": about})
        pq.write_table(table, path, compression="zstd")

    @classmethod
    def from_parquet(cls, path: str | Path | BinaryIO) -> Keyframes:
        """Read what `to_parquet` wrote. Raises ValueError where the file is something else."""
        table = pq.read_table(path)
        meta = (table.schema.metadata or {}).get(b"moe_viz.keyframes")
        if meta is None:
            raise ValueError(f"{path} holds no moe_viz keyframes (no 'moe_viz.keyframes' metadata)")
        about = json.loads(meta)
        found = cls(about["max_bytes"])
        dtypes = {"tokens": object, "group": object, "sequence": np.int32, "position": np.int32}
        for key, batch in about["batches"].items():
            found._batches[int(key)] = {name: np.array(batch[name], dtype=dtype) for name, dtype in dtypes.items()}
        found._next_batch = max(found._batches, default=0)
        for row in table.to_pylist():
            packed = _Packed(**{name: row[name] for name in _COLUMNS})
            packed = replace(packed, shape=tuple(packed.shape))
            here = found._frames[-1] if found._frames else None
            if here is None or (here.epoch, here.step) != (row["epoch"], row["step"]):
                here = _Frame(row["epoch"], row["step"], [])
                found._frames.append(here)
            here.layers.append(packed)
        return found


_LABELS = ("tokens", "group", "sequence", "position")
_COLUMNS = ("layer", "router", "capacity", "shape", "batch", "payload")
_INT64 = ("epoch", "step", "layer", "capacity", "batch")
_SCHEMA = pa.schema(
    [
        *((name, pa.int64()) for name in _INT64),
        ("router", pa.string()),
        ("shape", pa.list_(pa.int64())),
        ("payload", pa.binary()),
    ]
)
