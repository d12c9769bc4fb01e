"""The data files that a run stood on: exactly those that are read, and the same text under every Python."""

import gzip
import json
import subprocess
import sys
from hashlib import sha256

from moe_viz.spec import TASK_OPTIONS
from moe_viz.spec.mixture import DATA as MIXTURES
from moe_viz.tasks.base import DATA
from moe_viz.tasks.corpus import domains
from moe_viz.tasks.files import FILES, data_hashes

WATCH = """
import json, sys
import torch
from moe_viz.spec import MixtureConfig, RunConfig
from moe_viz.tasks import make_task, mixture_data
from moe_viz.tasks.base import DATA
opened = {}
def hook(event, arguments):
    if event == "open" and str(arguments[0]).startswith(str(DATA)):
        opened.setdefault(task, []).append(str(arguments[0])[len(str(DATA)) + 1:])
sys.addaudithook(hook)
for task in %r:
    make_task(RunConfig(task=task), torch.device("cpu"))
for task in %r:
    mixture_data.load(MixtureConfig(data=task))
print(json.dumps(opened))
"""


def test_the_files_whose_hashes_a_script_holds_are_those_that_each_task_reads():
    done = subprocess.run(
        [sys.executable, "-c", WATCH % (list(TASK_OPTIONS), list(MIXTURES))],
        capture_output=True,
        text=True,
        cwd=DATA.parents[1],
    )
    assert done.returncode == 0, done.stderr[-2000:]
    opened = json.loads(done.stdout)
    assert FILES.keys() == TASK_OPTIONS.keys() | MIXTURES.keys()
    for task in FILES:
        assert sorted(data_hashes([task])) == sorted(set(opened.get(task, []))), task


def test_the_python_domain_is_a_fixed_text_and_not_the_interpreters_own():
    text = gzip.decompress((DATA / "python" / "python.txt.gz").read_bytes())
    assert sha256(text).hexdigest() == "bc15a9d9cf05cc0386e2d5d812494e293c812094d8ee4c527362bc428a69ddaa"
    python = next(domain for domain in domains() if domain.name == "Python")
    assert len(python.train) + len(python.held_out) == len(text.decode())
