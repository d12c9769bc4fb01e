"""Keyframes: the probe batch's routing at many moments of a run, packed small, so that a run can be played back.

Token texts and labels are kept once per probe batch; experts, weights, slots and probabilities are narrowed (int8 or int16,
float16, packed bits) and compressed. Which keyframes go when the byte budget is full (or shrinks) follows from step numbers alone: those
that share the shortest stretch of 2, 4, 8, ... steps with an earlier one. So two histories of one run never drop different ones.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from moe_viz.records.codec import LABELS, Frame, Packed, pack, unpack
from moe_viz.records.thinning import first_of_each
from moe_viz.records.trace import RoutingTrace

WIDTH = 10
"""Numbers per keyframe and layer in `Keyframes.to_arrays`: epoch, step, layer, router, capacity (-1 = none), T, K, E, batch, bytes."""
FULL_RESOLUTION = 32
"""The newest keyframes that thinning leaves alone (the budget itself still holds)."""


@dataclass(frozen=True)
class Keyframe:
    """The probe batch's routing at one moment, one trace per layer. Floats have float16 precision (about 3 digits)."""

    epoch: int
    step: int
    traces: list[RoutingTrace]


class Keyframes:
    """Keyframes of one run in at most `max_bytes`. Steps rise within an epoch; an epoch is one (re)start of the run."""

    def __init__(self, max_bytes: int = 18_000_000):
        self.max_bytes = max_bytes
        self._frames: list[Frame] = []
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
        packed = [pack(trace, self._batch_id({name: getattr(trace, name) for name in LABELS})) for trace in traces]
        self._frames.append(Frame(epoch, step, packed))
        self._thin()

    def shrink(self, max_bytes: int) -> None:
        """Another budget. The whole run stays covered."""
        self.max_bytes = max_bytes
        self._thin()

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
        return Keyframe(frame.epoch, frame.step, [unpack(p, frame.step, self._batches[p.batch]) for p in frame.layers])

    def first_choices(self, layer: int, epoch: int, limit: int = 64) -> tuple[list[int], np.ndarray]:
        """Steps of at most `limit` keyframes of one epoch, both ends among them, and the tokens' first experts: [S, T] int16, -1 = none.

        Chosen by step numbers alone (the first of each stretch of steps), so that a curve of them keeps its points as the run ages.

        Keyframes of another probe batch than the newest are left out. Raises ValueError where there is no such layer.
        """
        frames = [frame for frame in self._frames if frame.epoch == epoch]
        if not frames:
            return [], np.empty((0, 0), np.int16)
        if not 0 <= layer < len(frames[-1].layers):
            raise ValueError(f"layer {layer} is not one of the {len(frames[-1].layers)} layers of the run")
        newest = frames[-1].layers[layer].batch
        frames = [frame for frame in frames if frame.layers[layer].batch == newest]
        picked = first_of_each(np.array([frame.step for frame in frames]), limit)
        traces = [unpack(frames[i].layers[layer], frames[i].step, self._batches[newest]) for i in picked]
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

    def _thin(self) -> None:
        """Drop keyframes until the rest fits: lowest `_rank` first, of equal ones the oldest; the first of an epoch only when nothing else is left."""
        while (excess := self.nbytes - self.max_bytes) > 0 and len(self._frames) > 1:
            frames, gone = self._frames, set()
            older = len(frames) - min(FULL_RESOLUTION, len(frames) // 2)
            inner = [i for i in range(1, older) if frames[i - 1].epoch == frames[i].epoch]
            # what has gone in this order changes no other rank, so one reckoning serves many
            for i in sorted(inner, key=lambda i: (_rank(frames[i - 1].step, frames[i].step), i)) or [0]:
                if excess <= 0:
                    break
                gone.add(i)
                excess -= frames[i].nbytes
            self._frames = [frame for i, frame in enumerate(frames) if i not in gone]
            self._forget_unused_batches()

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
        keyframes = cls(about["max_bytes"])
        keyframes._batches = {int(key): _labels(batch) for key, batch in about["batches"].items()}
        keyframes._next_batch = max(keyframes._batches, default=0)
        for row in table.to_pylist():
            packed = Packed(**{name: row[name] for name in _COLUMNS})
            keyframes._place(row["epoch"], row["step"], replace(packed, shape=tuple(packed.shape)))
        return keyframes

    def after(self, since: tuple[int, int] | None) -> Keyframes:
        """The keyframes from (epoch, step) `since` on; shared, not copied."""
        keyframes = Keyframes(self.max_bytes)
        keyframes._frames = [f for f in self._frames if since is None or (f.epoch, f.step) >= since]
        keyframes._batches, keyframes._next_batch = dict(self._batches), self._next_batch
        keyframes._forget_unused_batches()
        return keyframes

    def packed(self) -> Iterator[tuple[Frame, dict[int, dict[str, np.ndarray]]]]:
        """Each keyframe as it is kept, oldest first, with the labels of all probe batches by number."""
        return ((frame, self._batches) for frame in self._frames)

    def extend(self, later: Keyframes) -> None:
        """Add the keyframes of `later`; those held from its first on give way to them."""
        if later._frames:
            first = (later._frames[0].epoch, later._frames[0].step)
            self._frames = [frame for frame in self._frames if (frame.epoch, frame.step) < first]
        names = {key: self._batch_id(batch) for key, batch in later._batches.items()}
        for frame in later._frames:
            layers = [replace(packed, batch=names[packed.batch]) for packed in frame.layers]
            self._frames.append(Frame(frame.epoch, frame.step, layers))
        self._thin()

    def to_arrays(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Arrays and JSON values for `from_arrays`. frames [N, 10] int64, one row per keyframe and layer; payloads [bytes] uint8."""
        routers = sorted({packed.router for frame in self._frames for packed in frame.layers})
        at = {name: i for i, name in enumerate(routers)}
        rows = [
            (f.epoch, f.step, p.layer, at[p.router], _capacity(p.capacity), *p.shape, p.batch, len(p.payload))
            for f in self._frames
            for p in f.layers
        ]
        payload = b"".join(p.payload for f in self._frames for p in f.layers)
        batches = {key: {name: a.tolist() for name, a in batch.items()} for key, batch in self._batches.items()}
        arrays = {
            "frames": np.array(rows, np.int64).reshape(-1, WIDTH),
            "payloads": np.frombuffer(payload, np.uint8),
        }
        return arrays, {"max_bytes": self.max_bytes, "routers": routers, "batches": batches}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> Keyframes:
        """What `to_arrays` gave. Raises ValueError where the two do not fit together, whatever they hold."""
        frames, payloads = arrays["frames"], arrays["payloads"]
        sizes = frames[:, -1] if frames.dtype == np.int64 and frames.ndim == 2 and frames.shape[1] == WIDTH else None
        if sizes is None or payloads.dtype != np.uint8 or (sizes < 0).any() or sizes.sum() != payloads.size:
            raise ValueError(f"keyframes {frames.shape} {frames.dtype} and {payloads.size} bytes do not fit together")
        keyframes = cls(int(about["max_bytes"]))
        keyframes._batches = {int(key): _labels(batch) for key, batch in about["batches"].items()}
        keyframes._next_batch = max(keyframes._batches, default=0)
        data, start = payloads.tobytes(), 0
        for epoch, step, layer, router, capacity, *shape, batch, size in frames.tolist():
            if (
                batch not in keyframes._batches
                or len(keyframes._batches[batch]["tokens"]) != shape[0]
                or min(shape) < 0
            ):
                raise ValueError(f"the keyframe of step {step} has shape {shape} and no labels to fit")
            name = about["routers"][router] if 0 <= router < len(about["routers"]) else ""
            payload = data[start : start + size]
            packed = Packed(layer, name, None if capacity < 0 else capacity, tuple(shape), batch, payload)
            keyframes._place(epoch, step, packed)
            start += size
        return keyframes

    def _place(self, epoch: int, step: int, packed: Packed) -> None:
        here = self._frames[-1] if self._frames else None
        if here is not None and (here.epoch, here.step) > (epoch, step):
            raise ValueError(
                f"the keyframe (epoch, step) = {(epoch, step)} is before the last one, {here.epoch, here.step}"
            )
        if here is None or (here.epoch, here.step) != (epoch, step):
            here = Frame(epoch, step, [])
            self._frames.append(here)
        here.layers.append(packed)


def _rank(before: int, step: int) -> int:
    """How long a keyframe stays, from its step and that of the one before it: the two share a stretch of 2^rank steps (counted from 0), none shorter."""
    return (before ^ step).bit_length()


def _capacity(capacity: int | None) -> int:
    return -1 if capacity is None else capacity


def _labels(batch: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """A probe batch's labels from JSON. Raises ValueError where they are not four equally long lists."""
    dtypes = {"tokens": object, "group": object, "sequence": np.int32, "position": np.int32}
    labels = {name: np.array(batch[name], dtype=dtype) for name, dtype in dtypes.items()}
    if len({array.shape for array in labels.values()}) != 1 or labels["tokens"].ndim != 1:
        raise ValueError("the labels of a probe batch are not equally long lists")
    return labels


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
