"""CONTRIBUTING.md is true: the places that it names exist, and following each walk gives a router, task, chart, view, metric, page or language that works."""

import json
import os
import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import altair as alt
import pytest
import torch
from babel.messages.catalog import Catalog
from babel.messages.pofile import write_po
from streamlit.testing.v1 import AppTest

from moe_viz.charts import counts
from moe_viz.moe import ROUTERS, Experts, MoELayer, TokenChoiceRouter, make_router
from moe_viz.records.metric_info import METRICS
from moe_viz.spec import ROUTER_OPTIONS, RunConfig
from moe_viz.spec.routers.token_choice import TopK
from moe_viz.training import Trainer
from moe_viz.training.metrics import measure
from moe_viz.ui import i18n
from tests.records.traces import seeded_trace
from tests.test_house import ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
SMALL = {"task": "clusters", "n_layers": 1, "d_model": 16, "d_hidden": 16, "batch_tokens": 64}
MADE = ("assets/locale/de/LC_MESSAGES/moe_viz.po", "assets/lessons/de/glossary.yaml")
"""Files that the text tells the reader to make."""


def walk(title: str) -> str:
    """The section of the text with this heading."""
    return TEXT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def registries(title: str) -> dict[str, str]:
    """Registry -> file, as the steps of a walk name them: "`NAME` ... `file.py`", or "there" for the file named before."""
    found = {}
    for step in walk(title).split("\n"):
        files = re.findall(r"`(moe_viz/[\w/]+\.py|\w+\.js)`", step)
        for name in re.findall(r"`(_?[A-Z][A-Z_]+)`", step):
            found[name] = files[-1]
    return found


def test_every_place_it_names_exists():
    places = set(re.findall(r"`((?:moe_viz|tests|pages|assets|docs)/[\w./<>]*|\w+\.(?:py|md))`", TEXT))
    places |= set(re.findall(r"\]\((\w[\w./]*)\)", TEXT))
    tree = TEXT.partition("## Where things are")[2].split("```")[1]
    places |= set(re.findall(r"(?<![\w/])[a-z_]+(?:/[a-z_]*)+|app\.py", tree)) - {"session/", "widgets/", "server/"}
    assert {"app.py", "tests/parity/", "docs/parity.md", "moe_viz/spec/", "SECURITY.md"} <= places
    short = {"models/", "mixtures/"}  # beside moe_viz/moe/
    for place in places - set(MADE) - {"page.py", "__init__.py"}:
        path = ROOT / ("moe_viz" if place in short else "") / place.replace("<page>", "lab")
        assert path.exists(), place


def test_every_command_it_names_exists():
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"(?:`|^)make ([\w-]+)", TEXT, re.MULTILINE))
    assert {"run", "test", "locale"} <= named <= targets
    assert (ROOT / ".ci" / "run").exists() and ".ci/run" in TEXT


def test_every_name_it_gives_is_in_the_file_it_gives():
    n_names = 0
    for title in re.findall(r"^## (Add .*)$", TEXT, re.MULTILINE):
        for name, file in registries(title).items():
            n_names += 1
            assert re.search(rf"^(?:const )?{name}\b", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE), (
                name,
                file,
            )
    assert n_names >= 11


def test_a_router_needs_options_a_module_and_two_lines(monkeypatch):
    class LastK(TopK):
        name: str = "last_k"

    class LastKRouter(TokenChoiceRouter):
        """Prefers the experts with the lowest scores."""

        def ranking(self, c):
            return -super().ranking(c)

    assert registries("Add a router").keys() == {"ROUTER_OPTIONS", "ROUTERS"}
    monkeypatch.setitem(ROUTER_OPTIONS, "last_k", LastK)
    monkeypatch.setitem(ROUTERS, "last_k", LastKRouter)
    layer = MoELayer(make_router("last_k", 8, 4, k=2), Experts(4, 8, 8))
    x = torch.randn(6, 8)
    y, routing = layer(x)
    assert y.shape == x.shape and routing.aux.keys() == {"balance", "z"}
    lowest = routing.probs.argsort(1)[:, :2].sort().values
    assert torch.equal(routing.expert_idx.view(6, 2).sort().values, lowest)


OPTIONS = """class Mirror(TaskOptions):
    title = N_("Points: the mirror")
    summary = N_("Every point is to come out on the other side.")
    residual = False
    metric = "nmse"
    metric_goal = "min"
    run_defaults = Clusters.run_defaults | {"lr": 1e-2}
    name: Literal["mirror"] = "mirror"
    n_clusters: int = 4


TASK_OPTIONS:"""
DATA = '''"""Task `mirror`: points are to come out with their signs turned."""

from moe_viz.tasks.clusters import ClustersTask


class MirrorTask(ClustersTask):
    """Targets are the points' negatives, halved."""

    def _points(self, rng, n):
        points, _, cluster = super()._points(rng, n)
        return points, -points / 2, cluster
'''
LINES = {
    "TASK_OPTIONS": [(r"^TASK_OPTIONS:", OPTIONS), (r"(?<=Photo, Clusters, Plane)\)", ", Mirror)")],
    "TASKS": [
        (r"^TASKS: .*\{", r'\g<0>\n    "mirror": MirrorTask,'),
        (r"^TASKS:", "from moe_viz.tasks.mirror import MirrorTask\n\nTASKS:"),
    ],
    "FILES": [(r"^FILES: .*\{", r'\g<0>\n    "mirror": (),')],
    "MODELS": [(r"^MODELS: .*\{", r'\g<0>\n    "mirror": PointModel,')],
    "IDENTITY": [(r"^IDENTITY = \{", r'\g<0>\n    "mirror": N_("cluster"),')],
}
"""Registry -> what a new task writes into its file."""
TRY = """
import json
from moe_viz.records.script_file import read_script, write_script
from moe_viz.spec import RunConfig
from moe_viz.training import Trainer
from moe_viz.ui.widgets.specialisation import IDENTITY

config = RunConfig.from_flat({"task": "mirror"})
trainer = Trainer(config)
trainer.run(150)
again = Trainer.replay(read_script(write_script(trainer.script)))
loss = trainer.history.rows()["loss"]
print(json.dumps({
    "lr": config.lr, "first": float(loss.iloc[0]), "last": float(loss.iloc[-1]),
    "same": again.history.rows()["loss"].equals(loss), "identity": IDENTITY["mirror"],
}))
"""


def test_a_task_needs_a_class_a_module_and_four_lines(tmp_path):
    for name in ("moe_viz", "pages"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "assets").symlink_to(ROOT / "assets")
    shutil.copy(ROOT / "app.py", tmp_path)
    named = registries("Add a task")
    assert named.keys() == LINES.keys()
    (tmp_path / "moe_viz" / "tasks" / "mirror.py").write_text(DATA, encoding="utf-8")
    for registry, file in named.items():
        text = (tmp_path / file).read_text(encoding="utf-8")
        for pattern, line in LINES[registry]:
            text, n = re.subn(pattern, line, text, flags=re.MULTILINE)
            assert n == 1, (registry, pattern)
        (tmp_path / file).write_text(text, encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", TRY], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    seen = json.loads(done.stdout)
    assert seen["lr"] == 1e-2 and seen["same"] and seen["identity"] == "cluster"
    assert seen["last"] < 0.5 * seen["first"], seen


CHART_PAGE = """
import streamlit as st
from moe_viz.ui.widgets.charts import draw_chart
draw_chart(st.session_state["chart"], "busiest", "How many tokens the busiest expert has.")
"""


def test_a_chart_needs_a_function_and_one_call():
    assert {"moe_viz/charts/style.py", "moe_viz/ui/widgets/charts.py"} <= set(
        re.findall(r"`([^`]+)`", walk("Add a chart"))
    )
    heading = import_module("moe_viz.charts.style").heading
    VegaChart = import_module("moe_viz.charts.vega").VegaChart

    def first_choices(trace):
        table = counts.pd.DataFrame({"expert": trace.expert[:, 0] + 1}).groupby("expert").size().rename("tokens")
        bars = {"mark": "bar", "encoding": {"x": {"field": "expert", "type": "ordinal"}, "y": {"field": "tokens", "type": "quantitative"}}}  # fmt: skip
        return VegaChart({"title": heading("First choices", "probe batch"), "layer": [bars]}, table.reset_index())

    chart = first_choices(seeded_trace(1, k=2, n_experts=4))
    assert chart.spec == first_choices(seeded_trace(2, k=2, n_experts=4)).spec
    alt.Chart.from_dict({**chart.spec, "data": {"values": []}})
    at = AppTest.from_string(CHART_PAGE, default_timeout=60)
    at.session_state["chart"] = chart
    at.run()
    assert not at.exception
    (drawn,) = at.get("vega_lite_chart") or at.get("arrow_vega_lite_chart")
    assert "First choices" in drawn.proto.spec and "labelColor" in drawn.proto.spec
    assert chart.table["tokens"].sum() == len(seeded_trace(1, k=2, n_experts=4).expert)


def test_each_canvas_view_has_a_drawing_a_python_side_and_the_name_of_its_folder():
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "moe_viz").rglob("*.py"))
    views = sorted((ROOT / "assets" / "components").glob("*/view.js"))
    assert len(views) >= 6
    bundled = re.search(r"^const NAMES = .*", (ROOT / "bundles.js").read_text(encoding="utf-8"), re.MULTILINE).group()
    assert "`NAMES` of `bundles.js`" in walk("Add a canvas view")
    for view in views:
        name = view.parent.name
        assert "export default " in view.read_text(encoding="utf-8"), view
        assert f'"moe_viz_{name}"' in sources, name
        assert f'"{name}"' in bundled and (view.parents[1] / "built" / f"{name}.js").exists(), name
        assert name == "remember" or (ROOT / "moe_viz" / "components" / f"{name}.py").exists(), name


def test_a_metric_needs_a_function_and_its_definition(monkeypatch):
    assert registries("Add a metric").keys() == {"PER_LAYER", "PER_EXPERT", "METRICS", "_ALL"}
    monkeypatch.setitem(measure.PER_LAYER, "least_load", lambda window: window.load.min(-1))
    monkeypatch.setitem(METRICS, "least_load", METRICS["max_load"])
    trainer = Trainer(RunConfig(**SMALL))
    trainer.run(3)
    metrics = trainer.snapshot().metrics
    assert metrics["least_load"] == pytest.approx([min(metrics["load"][0])])
    assert "least_load.0" in trainer.history.rows()


def test_every_measured_metric_has_a_definition():
    assert {*measure.PER_LAYER, *measure.PER_EXPERT} <= METRICS.keys()


def test_each_stub_calls_its_pages_draw():
    for stub in (ROOT / "pages").glob("*.py"):
        called = re.search(
            r"from moe_viz\.ui\.(\w+)\.page import draw\n\ndraw\(\)\n$", stub.read_text(encoding="utf-8")
        )
        assert called and (ROOT / "moe_viz" / "ui" / called.group(1) / "page.py").exists(), stub
        assert f'"pages/{stub.name}"' in (ROOT / "app.py").read_text(encoding="utf-8")


LANGUAGE_PAGE = """
import streamlit as st
from moe_viz.ui.i18n import _, picker
picker()
st.write(_("Dropped routes"))
st.write(_("Balancing loss"))
"""


@pytest.fixture
def german(tmp_path, monkeypatch):
    """A catalogue of a few strings where the text says, and its line in the registry."""
    assert registries("Add a language") == {"LANGUAGES": "moe_viz/ui/i18n.py"}
    path = tmp_path / Path(MADE[0]).relative_to("assets/locale")
    assert f"`{MADE[0]}`" in walk("Add a language")
    path.parent.mkdir(parents=True)
    catalogue = Catalog(locale="de")
    catalogue.add("Dropped routes", "Verworfene Wege")
    catalogue.add("Language", "Sprache")
    with path.open("wb") as file:
        write_po(file, catalogue)
    monkeypatch.setattr(i18n, "LOCALE", tmp_path)
    monkeypatch.setitem(i18n.LANGUAGES, "de", "Deutsch")
    i18n.catalogue.cache_clear()
    yield
    i18n.catalogue.cache_clear()


def test_a_language_needs_a_catalogue_and_a_line(german):
    at = AppTest.from_string(LANGUAGE_PAGE, default_timeout=60).run()
    (choice,) = at.sidebar.selectbox
    assert choice.label == "Language" and choice.options[-1] == "Deutsch"
    choice.select("de").run()
    (choice,) = at.sidebar.selectbox
    assert choice.label == "Sprache"
    assert [line.value for line in at.markdown] == ["Verworfene Wege", "Balancing loss"]


def test_a_link_opens_the_new_language(german):
    at = AppTest.from_string(LANGUAGE_PAGE, default_timeout=60)
    at.query_params["lang"] = "de"
    assert at.run().markdown[0].value == "Verworfene Wege"
