"""One keyframe as bytes: a trace's numbers narrowed (int8 or int16, float16, packed bits) and compressed, and back.

The size of what comes out is known from the shape, so a damaged or hostile payload cannot make a reader allocate more than that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from moe_viz.records.trace import RoutingTrace

CODEC = pa.Codec("zstd", compression_level=1)
LABELS = ("tokens", "group", "sequence", "position")
"""Fields of a trace that are the same at every moment: kept once per probe batch."""


@dataclass(frozen=True)
class Packed:
    """One layer at one moment. batch: number of the probe batch whose labels belong to it."""

    layer: int
    router: str
    capacity: int | None
    shape: tuple[int, int, int]  # T, K, E
    batch: int
    payload: bytes


@dataclass(frozen=True)
class Frame:
    """All layers at one moment."""

    epoch: int
    step: int
    layers: list[Packed]

    @property
    def nbytes(self) -> int:
        return sum(len(packed.payload) + 200 for packed in self.layers)


def fields_of(shape: tuple[int, int, int]) -> dict[str, tuple[np.dtype, tuple[int, ...]]]:
    """Stored dtype and shape of each packed field; `kept` is stored as bits."""
    n_tokens, k, n_experts = shape
    return {
        "expert": (np.dtype(np.int8 if n_experts <= 127 else np.int16), (n_tokens, k)),
        "slot": (np.dtype(np.int16 if n_tokens * max(k, 1) <= 32767 else np.int32), (n_tokens, k)),
        "weight": (np.dtype(np.float16), (n_tokens, k)),
        "probs": (np.dtype(np.float16), (n_tokens, n_experts)),
        "kept": (np.dtype(np.uint8), ((n_tokens * k + 7) // 8,)),
    }


def raw_bytes(packed: Packed) -> int:
    """Bytes of the payload once decompressed."""
    return sum(dtype.itemsize * int(np.prod(shape)) for dtype, shape in fields_of(packed.shape).values())


def pack(trace: RoutingTrace, batch: int) -> Packed:
    """Narrow and compress."""
    shape = (*trace.expert.shape, trace.n_experts)
    parts = []
    for name, (dtype, _) in fields_of(shape).items():
        values = np.packbits(trace.kept) if name == "kept" else getattr(trace, name)
        parts.append(np.ascontiguousarray(values, dtype=dtype).tobytes())
    payload = CODEC.compress(b"".join(parts), asbytes=True)
    return Packed(trace.layer, trace.router, trace.capacity, shape, batch, payload)


def unpack(packed: Packed, step: int, batch: dict[str, np.ndarray]) -> RoutingTrace:
    """The trace of `step`. batch: its labels. Raises ValueError where the payload is damaged."""
    fields = fields_of(packed.shape)
    sizes = {name: dtype.itemsize * int(np.prod(shape)) for name, (dtype, shape) in fields.items()}
    try:
        raw = CODEC.decompress(packed.payload, decompressed_size=raw_bytes(packed), asbytes=True)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"the keyframe of step {step} is damaged: {error}") from error
    values, start = {}, 0
    for name, (dtype, shape) in fields.items():
        values[name] = np.frombuffer(raw, dtype, offset=start, count=int(np.prod(shape))).reshape(shape)
        start += sizes[name]
    n_tokens, k, _ = packed.shape
    values["kept"] = np.unpackbits(values["kept"], count=n_tokens * k).reshape(n_tokens, k).astype(bool)
    widths = {"expert": np.int16, "slot": np.int32, "weight": np.float32, "probs": np.float32, "kept": bool}
    values = {name: values[name].astype(width) for name, width in widths.items()}
    return RoutingTrace(step, packed.layer, packed.router, packed.capacity, **batch, **values)
