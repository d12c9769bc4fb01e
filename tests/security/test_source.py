"""What must not stand in the source at all: pickles of strangers, code made of texts, markup made of texts, open doors in the configuration."""

from __future__ import annotations

import ast
import re
from importlib.metadata import version

import pytest
from packaging.requirements import Requirement

from moe_viz.launch import streamlit_settings
from moe_viz.ui.session.run_cookie import read as read_cookie
from tests.test_house import ROOT, imports

PYTHON = [ROOT / "app.py", *sorted((ROOT / "pages").glob("*.py")), *sorted((ROOT / "moe_viz").rglob("*.py"))]
SCRIPTS = sorted((ROOT / "assets" / "components").rglob("*.js"))
PICKLES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "yaml"}
TRANSPORT = {f"moe_viz/engine/{name}.py" for name in ("client/local", "worker/main", "cluster/main", "cluster/cluster")}
"""Between the web process and the worker it has started, over the pipes of that very pair; on a cluster, answers of our own actors."""
MADE_OF_OURS = {
    "moe_viz/ui/i18n.py": {"language"},  # one of `LANGUAGES`, whatever the address says
    "moe_viz/ui/widgets/sidebar.py": {"shown", "sorted", "turns"},  # the words of knobs that are declared, and a number
    "moe_viz/ui/lab/first_presses.py": {"state"},  # the time of a press
    "moe_viz/ui/server/theme.py": {"heading"},  # the number of a heading of the menu
    "moe_viz/ui/course/worksheet.py": {"html", "lesson"},  # texts of the package, each of them escaped
}
"""Names in markup that hold nothing of a reader's."""
OWN_YAML = {
    "moe_viz/lessons/glossary.py": "yaml.compose(path.read_text(encoding='utf-8'), Loader=yaml.SafeLoader)",
    "moe_viz/lessons/lesson_files.py": "yaml.compose('\\n' + '\\n'.join(lines[1:end]), Loader=yaml.SafeLoader)",
}
"""Reads files that come with the package, node by node: YAML's safe loader makes no objects of them."""
READERS_YAML = {"moe_viz/systems/own.py"}
"""Reads what a reader has pasted, event by event, at most some thousand characters: no objects, no aliases, no nesting."""
READ = {"sys.stdin.buffer", "stream", "self._answers", "await self.answer(0, ask(Engine.read, run_id))"}


def calls(path):
    """(name, call) of every call in a file; of methods the dotted name."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def test_pickle_only_between_our_own_processes():
    found = {str(path.relative_to(ROOT)) for path in PYTHON if PICKLES & {name.split(".")[0] for name in imports(path)}}
    assert found <= TRANSPORT | OWN_YAML.keys() | READERS_YAML, found - TRANSPORT
    for path in READERS_YAML:
        assert not PICKLES - {"yaml"} & {name.split(".")[0] for name in imports(ROOT / path)}
        read = [ast.unparse(call) for name, call in calls(ROOT / path) if name.startswith("yaml.")]
        assert read == ["yaml.parse(text, Loader=yaml.SafeLoader)"]
    for path, only in OWN_YAML.items():
        assert not PICKLES - {"yaml"} & {name.split(".")[0] for name in imports(ROOT / path)}
        read = [ast.unparse(call) for name, call in calls(ROOT / path) if name.startswith("yaml.")]
        assert read == [only]
    for path in PYTHON:
        for name, call in calls(path):
            assert name not in ("torch.load", "torch.hub.load", "pd.read_pickle", "np.fromfile"), path
            assert not any(word.arg == "allow_pickle" for word in call.keywords), path


def test_the_transport_reads_nothing_but_its_own_pipes():
    for path in TRANSPORT:
        read = [
            ast.unparse(call.args[0]) for name, call in calls(ROOT / path) if name in ("pickle.load", "pickle.loads")
        ]
        assert set(read) <= READ, (path, read)
    client = (ROOT / "moe_viz/engine/client/local.py").read_text(encoding="utf-8")
    assert "stdin=subprocess.PIPE" in client and "stdout=subprocess.PIPE" in client
    assert "self._requests, self._answers = _pipes(self.process)" in client
    assert "return process.stdin, process.stdout" in client


def test_no_code_is_made_of_texts():
    for path in PYTHON:
        for name, call in calls(path):
            assert name not in ("eval", "exec", "compile", "__import__", "os.system", "os.popen", "torch.compile"), (
                path,
                name,
            )
            assert not any(word.arg == "shell" for word in call.keywords), path
            if name.endswith("import_module"):
                ours = {
                    "moe_viz/engine/worker/main.py",
                    "moe_viz/ui/server/lifecycle.py",
                }  # a setting of the worker, the pages' own folders
                assert path.relative_to(ROOT).as_posix() in ours, path


def test_no_markup_is_made_of_texts():
    for path in PYTHON:
        assert "unsafe_allow_html" not in path.read_text(encoding="utf-8"), path
        for name, call in calls(path):
            if name in ("st.html", "st.components.v1.html", "st.iframe"):
                inside = {node.id for node in ast.walk(call.args[0]) if isinstance(node, ast.Name)} - {"st"}
                inside -= MADE_OF_OURS.get(path.relative_to(ROOT).as_posix(), set())
                assert all(found.isupper() or found in ("_", "json") for found in inside), (
                    path,
                    inside,
                )  # constants, our own words


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_views_write_text_and_never_markup(path):
    source = path.read_text(encoding="utf-8")
    for word in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
        "createContextualFragment",
        "srcdoc",
    ):
        assert word not in source, word
    assert "import(" not in source or path.name == "loader.js"  # its source comes from our server, with the view's data
    asked = re.findall(r"(?:fetch|XMLHttpRequest|WebSocket|sendBeacon)\s*\([^)]*\)", source)
    # a picture's file takes the page's fonts along; a bundle calls the address by a letter
    known = {"file.js": ["fetch(address)"], "picture.js": ["fetch(a)"]}.get(path.name, [])
    assert asked in ([], known)


def test_streamlit_is_configured_shut():
    found = streamlit_settings({})
    assert found["server.enableCORS"] and found["server.enableXsrfProtection"]
    assert not found["server.enableAgentApi"]
    assert not found["server.enableStaticServing"] and not found["browser.gatherUsageStats"]
    assert found["server.maxUploadSize"] <= 12 and found["server.maxMessageSize"] <= 32
    assert found["server.maxWidgetStateSize"] <= 1
    assert found["client.showErrorDetails"] == "none" and found["client.toolbarMode"] == "minimal"


def test_every_package_is_pinned_and_installed_as_pinned():
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    wanted = [Requirement(line.partition("#")[0].strip()) for line in lines if line.strip() and line[0] not in "#-"]
    assert wanted and all([spec.operator for spec in each.specifier] == ["=="] for each in wanted)
    for each in wanted:
        assert each.specifier.contains(version(each.name).partition("+")[0]), each


def test_the_cookie_of_ones_runs_stays_with_this_site():
    script = (ROOT / "assets" / "components" / "remember" / "view.js").read_text(encoding="utf-8")
    assert "samesite=strict" in script and "; secure" in script
    assert read_cookie("../../etc/passwd.<script>.!" + "A" * 22 + "." + "x" * 9000) == {"A" * 22: False}
