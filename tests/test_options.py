"""The options that tests/conftest.py adds to pytest: `--none-skipped`, which CI gives where every peer and Ray are installed."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("reason, code", [("needs a peer", 1), (None, 0)])
def test_a_skipped_test_fails_where_none_may_be(tmp_path, reason, code):
    body = f"pytest.skip({reason!r})" if reason else "pass"
    (tmp_path / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text(encoding="utf-8"))
    (tmp_path / "test_it.py").write_text(
        f"import pytest\n\ndef test_it():\n    {body}\n\ndef test_other():\n    pass\n"
    )
    for option, wanted in (("--none-skipped", code), ("-q", 0)):
        command = [sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), option, str(tmp_path)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == wanted, done.stdout
        assert (reason or "") in done.stdout if wanted else True
