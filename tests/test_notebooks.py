"""The notebooks of the documentation run from top to bottom, without Jupyter, and say what they show."""

import ast
import json
import math
from pathlib import Path

import pytest

from moe_viz.charts.plotly_charts import PlotlyChart
from moe_viz.charts.vega import VegaChart

FOLDER = Path(__file__).parents[1] / "docs" / "notebooks"
NAMES = sorted(path.name for path in FOLDER.glob("*.ipynb"))


def read(name):
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))


def run(name):
    """The names that a notebook leaves, and what each of its cells would show: the value of its last line."""
    space, shown = {"__name__": "__main__"}, []
    for cell in read(name)["cells"]:
        if cell["cell_type"] != "code":
            continue
        tree = ast.parse("".join(cell["source"]), f"{name}, {cell['id']}")
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, f"{name}, {cell['id']}", "exec"), space)
        if last is not None:
            shown.append(eval(compile(ast.Expression(last.value), f"{name}, {cell['id']}", "eval"), space))
    return space, shown


def charts(shown):
    found = [one for one in shown if isinstance(one, VegaChart | PlotlyChart)]
    assert found and all(len(chart.table) and chart.table.notna().to_numpy().any() for chart in found)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_notebooks_are_sources_without_outputs(name):
    book = read(name)
    assert (book["nbformat"], book["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in book["cells"]}) == len(book["cells"])
    assert book["cells"][0]["cell_type"] == "markdown" and book["cells"][0]["source"][0].startswith("# ")
    for cell in book["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [] and cell["execution_count"] is None
    assert (FOLDER / name).read_text(encoding="utf-8") == json.dumps(book, indent=1, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("page", ["README.md", "docs/layer.md"])
def test_every_notebook_is_linked(page):
    root = FOLDER.parents[1]
    text = (root / page).read_text(encoding="utf-8")
    base = (root / page).parent
    assert NAMES and all(f"({(FOLDER / name).relative_to(base).as_posix()})" in text for name in NAMES)


def test_a_switch_layer_learns_in_a_network_of_ones_own():
    space, shown = run("switch_layer.ipynb")
    loss = space["history"]["loss"]
    assert loss.iloc[-20:].mean() < 0.3 * loss.iloc[0]
    table = space["table"]
    assert (table.max(axis=1) / table.sum(axis=1) > 0.9).all(), "each kind of points has an expert of its own"
    assert len(charts(shown)) == 2


def test_balance_and_drops_come_out_of_the_tensors():
    space, shown = run("balance_and_drops.ipynb")
    assert space["by_hand"] > 1
    (drops,) = (one["routes dropped"] for one in shown if "routes dropped" in getattr(one, "columns", ()))
    assert drops.is_monotonic_decreasing and drops.iloc[0] > 0.4
    who = space["who"]
    assert who.loc["position", "dropped, second half"] > who.loc["position", "dropped, first half"]
    assert who.loc["probability", "gate weight kept"] > who.loc["random", "gate weight kept"]
    assert who.loc["reroute", "gate weight kept"] > who.loc["position", "gate weight kept"]
    assert len(charts(shown)) == 2


def test_em_finds_the_parts_of_a_table():
    space, shown = run("em_on_your_table.ipynb")
    ratios = space["model"].log_likelihood_
    assert all(math.isfinite(value) for value in ratios) and ratios[-1] > ratios[0]
    fit = shown[1]
    assert fit["four experts"] > 0.97 > fit["one line"]
    assert len(space["summary"]) >= 3
    (chart,) = charts(shown)
    ((kind, spec),) = chart._repr_mimebundle_().items()
    assert kind == "application/vnd.vegalite.v5+json" and spec["width"] > 300
    assert len(spec["data"]["values"]) == len(chart.table) and json.dumps(spec, allow_nan=False)
