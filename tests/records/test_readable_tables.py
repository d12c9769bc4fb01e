"""What people read counts from 1 and says so; records count from 0 and say so; each table says which batch it is of."""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from moe_viz.records import table_files
from moe_viz.records.history import History
from moe_viz.records.readable_tables import NUMBERING, batch_of, history_table, routing_rows
from tests.records.traces import trace_of


def history():
    rows = History()
    rows.append(["loss", "drop_rate.0", "load.1.3", "bias.0.0"], [1], np.array([[2.0, 0.1, 0.25, 0.0]]))
    return rows


def test_columns_of_a_history_count_layers_and_experts_from_1():
    rows = history().rows()
    assert list(history_table(rows)) == ["epoch", "step", "loss", "drop_rate.1", "load.2.4", "bias.1.1"]
    assert history_table(rows).to_numpy().tolist() == rows.to_numpy().tolist()


def test_rows_of_a_routing_count_from_1_and_leave_out_what_is_not_there():
    trace = trace_of(np.array([[0, 7], [3, -1]]), 8, layer=1)
    rows = routing_rows(trace)
    assert rows["layer"].tolist() == [2, 2] and rows["expert.1"].tolist() == [1, 4]
    assert rows["expert.2"].isna().tolist() == [False, True] and rows["expert.2"].iloc[0] == 8
    assert [name for name in rows if name.startswith("probs")] == [f"probs.{n}" for n in range(1, 9)]


def test_both_files_of_a_page_name_their_batch_and_one_denominator():
    said = table_files.about("lab", {"seed": 0}, 1)
    csv = {
        name: table_files.to_csv(table, said).decode()
        for name, table in {"h": history().rows(), "r": routing_rows(trace_of(np.zeros((4, 2), int), 8))}.items()
    }
    assert "training batches" in csv["h"].split("epoch,step")[0] and "mean" in csv["h"] and "load.2.4" in csv["h"]
    assert "probe batch" in csv["r"].split("step,layer")[0]
    for text in csv.values():
        assert NUMBERING in text and ("shares of its routes" in text or "share of routes" in text)
    table, about = table_files.read_parquet(table_files.to_parquet(history().rows(), said))
    assert "load.2.4" in table and about["numbering"] == NUMBERING and "training batches" in about["batch"]
    assert batch_of(pd.DataFrame({"x": [1]})) == ""


def test_files_of_records_count_from_0_and_say_so(tmp_path):
    trace_of(np.zeros((4, 1), int), 8).to_parquet(tmp_path / "trace.parquet")
    history().to_parquet(tmp_path / "history.parquet")
    for name in ("trace", "history"):
        assert b"count from 0" in pq.read_schema(tmp_path / f"{name}.parquet").metadata[b"moe_viz.numbering"]
    assert "load.1.3" in History.from_parquet(tmp_path / "history.parquet").columns
