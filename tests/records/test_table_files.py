"""Files that explain themselves: what is written is read back, with everything needed to make it again."""

import numpy as np
import pandas as pd
import pytest

from moe_viz import __version__
from moe_viz.records import table_files
from moe_viz.spec import RunConfig

TABLE = pd.DataFrame(
    {"token": ["#", 'quote " and, comma', "line\nbreak"], "share": [0.1, np.nan, 1 / 3], "n": [1, 2, 3]}
)
SAID = table_files.about(
    "domains", RunConfig(seed=7).flat(), 120, "https://lab/?v=1&seed=7", ("domain_information", "load")
)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_round_trip_with_config_seed_version_link_and_definitions(form):
    write, read = (
        (table_files.to_csv, table_files.read_csv)
        if form == "csv"
        else (table_files.to_parquet, table_files.read_parquet)
    )
    table, said = read(write(TABLE, SAID))
    pd.testing.assert_frame_equal(table, TABLE, check_dtype=False)
    assert said["version"] == __version__ and said["seed"] == 7 and said["step"] == 120
    assert said["open_in_the_lab"] == "https://lab/?v=1&seed=7"
    config = {k[7:]: v for k, v in said.items() if k.startswith("config.")} if form == "csv" else said["config"]
    assert RunConfig.from_flat(config) == RunConfig(seed=7)
    formula = said["metrics.domain_information"] if form == "csv" else said["metrics"]["domain_information"]
    assert r"\frac{I(\text{expert};D)}{H(D)}" in formula and "Shannon" in formula


def test_the_first_line_tells_any_reader_how_much_to_skip():
    data = table_files.to_csv(TABLE, SAID)
    count = int(data.split(b"\n")[0].rpartition(b"skiprows=")[2])
    lines = data.decode().split("\n")
    assert all(line.startswith("# ") for line in lines[:count]) and lines[count] == "token,share,n"


def test_columns_of_mixed_kinds_and_empty_tables():
    mixed = pd.DataFrame({"from": [1, None, "none"]}, dtype=object)
    table, _ = table_files.read_parquet(table_files.to_parquet(mixed, SAID))
    assert table["from"].tolist() == ["1", None, "none"] or table["from"][0] == "1"
    assert table_files.read_csv(table_files.to_csv(TABLE.iloc[:0], SAID))[0].columns.tolist() == list(TABLE)


def test_other_files_are_refused():
    with pytest.raises(ValueError, match="does not begin"):
        table_files.read_csv(b"a,b\n1,2\n")
    plain = TABLE.to_parquet()
    with pytest.raises(ValueError, match="not written by moe_viz"):
        table_files.read_parquet(plain)
    with pytest.raises(KeyError):
        table_files.about("x", {}, metrics=("no such metric",))
