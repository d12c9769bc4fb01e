"""A view's data as a file that explains itself: CSV or Parquet with the config, seed, version, link and metric definitions inside.

A CSV begins with comment lines (`read_csv` reads it back); Parquet carries the same as JSON in its metadata under `moe_viz`.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from moe_viz import __version__
from moe_viz.records.metric_info import METRICS
from moe_viz.records.readable_tables import NUMBERING, batch_of, history_table

KEY = "moe_viz"
_FORMULA = re.compile(r"'*[=+\-@\t\r].*[(|!]", re.DOTALL)
"""A formula that calls something. Mere signs, numbers and sums stay as they are: they are what tokens look like."""


def about(
    view: str,
    config: Mapping[str, Any],
    step: int | None = None,
    link: str = "",
    metrics: Sequence[str] = (),
    others: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """What a file says about itself. `metrics`: names in `METRICS` whose definitions travel along; an unknown name is a KeyError.

    others: further runs in the same file by name, as the settings that differ from `config`.
    """
    definitions = {name: _definition(name) for name in metrics}
    return {
        "view": view,
        "numbering": NUMBERING,
        "version": __version__,
        "step": step,
        "seed": config.get("seed"),
        "config": dict(config),
        "open_in_the_lab": link,
        "metrics": definitions,
        **({"other_runs": {name: dict(differs) for name, differs in others.items()}} if others else {}),
    }


def to_csv(table: pd.DataFrame, header: Mapping[str, Any]) -> bytes:
    """UTF-8 CSV. The first line says how many comment lines there are, so that any reader can skip them.

    A history's columns are numbered from 1, and the head says which batch the numbers are of.
    """
    table, header = _for_readers(table, header)
    lines = []
    for name, value in header.items():
        if isinstance(value, Mapping):
            lines += [f"{name}.{key}: {json.dumps(item, ensure_ascii=False)}" for key, item in value.items()]
        else:
            lines.append(f"{name}: {json.dumps(value, ensure_ascii=False)}")
    lines.insert(
        0, f"{KEY} {header['version']}: skip these {len(lines) + 1} lines, or read with skiprows={len(lines) + 1}"
    )
    head = "".join(f"# {line}\n" for line in lines)
    return (head + without_formulas(table).to_csv(index=False)).encode("utf-8")


def _for_readers(table: pd.DataFrame, header: Mapping[str, Any]) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The table with layers and experts from 1, and what is said with the batch that it is of."""
    is_history = "epoch" in table and "step" in table
    table = history_table(table) if is_history else table
    batch = batch_of(table)
    return table, {**header, **({"batch": batch} if batch else {})}


def without_formulas(table: pd.DataFrame) -> pd.DataFrame:
    """The table for a CSV: a spreadsheet would run a text like "=HYPERLINK(…)", so those get an apostrophe in front; `read_csv` takes it off."""
    return _each_text(table, lambda text: f"'{text}" if _FORMULA.match(text) else text)


def _with_formulas(table: pd.DataFrame) -> pd.DataFrame:
    return _each_text(table, lambda text: text[1:] if text.startswith("'") and _FORMULA.match(text[1:]) else text)


def _each_text(table: pd.DataFrame, change: Callable[[str], str]) -> pd.DataFrame:
    changed = table.copy()
    for name in table:
        if pd.api.types.is_string_dtype(table[name]) or table[name].dtype == object:
            changed[name] = table[name].map(lambda value: change(value) if isinstance(value, str) else value)
    return changed


def to_parquet(table: pd.DataFrame, header: Mapping[str, Any]) -> bytes:
    """Parquet with the same in its metadata; columns of mixed kinds become text."""
    table, header = _for_readers(table, header)
    plain = table.reset_index(drop=True)
    for name in plain:
        if pd.api.types.infer_dtype(plain[name], skipna=True).startswith("mixed"):
            plain[name] = plain[name].map(lambda value: None if value is None else str(value))
    made = pa.Table.from_pandas(plain, preserve_index=False)
    made = made.replace_schema_metadata({**(made.schema.metadata or {}), KEY: json.dumps(header, ensure_ascii=False)})
    stream = io.BytesIO()
    pq.write_table(made, stream, compression="zstd")
    return stream.getvalue()


def read_csv(data: bytes) -> tuple[pd.DataFrame, dict[str, Any]]:
    """What `to_csv` wrote: the table, and what the file says about itself with dotted names. Raises ValueError for another file."""
    lines = data.decode("utf-8").split("\n")
    if not lines[0].startswith(f"# {KEY} ") or "skiprows=" not in lines[0]:
        raise ValueError("this CSV does not begin with the lines that moe_viz writes")
    count = int(lines[0].rpartition("skiprows=")[2])
    pairs = (line[2:].partition(": ") for line in lines[1:count])
    table = _with_formulas(pd.read_csv(io.BytesIO(data), skiprows=count))
    return table, {name: json.loads(value) for name, _, value in pairs}


def read_parquet(data: bytes) -> tuple[pd.DataFrame, dict[str, Any]]:
    """What `to_parquet` wrote. Raises ValueError for another file."""
    table = pq.read_table(io.BytesIO(data))
    header = (table.schema.metadata or {}).get(KEY.encode())
    if header is None:
        raise ValueError(f"this Parquet file was not written by moe_viz (no {KEY!r} metadata)")
    return table.to_pandas(), json.loads(header)


def _definition(name: str) -> str:
    info = METRICS[name]
    limits = ", ".join(
        f"{word} {bound.latex}"
        for word, bound in (("floor", info.floor), ("ceiling", info.ceiling), ("fair", info.fair))
        if bound.latex
    )
    parts = (info.title, info.meaning, info.formula, limits, f"unit {info.unit}" if info.unit else "", info.source)
    return " | ".join(part for part in parts if part)
