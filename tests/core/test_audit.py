"""The audit of dependencies: what users get is asked about, and silence of the service is never taken for good news."""

import importlib.util
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "audit.py"


@pytest.fixture
def audit(monkeypatch):
    """The tool, of which `answers` can be set: what pip-audit prints, by the first package that it is asked about."""
    if not TOOL.is_file():
        pytest.skip("not in a checkout")
    pytest.importorskip("packaging")
    spec = importlib.util.spec_from_file_location("audit", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.answers, module.asked = {}, []

    def run(command, **how):
        text = Path(command[command.index("--requirement") + 1]).read_text(encoding="utf-8")
        module.asked.append(dict(line.split("==") for line in text.split()))
        answer = module.answers[text.split("==")[0]]
        return SimpleNamespace(stdout=json.dumps({"dependencies": answer}) if answer else "", stderr="cannot connect")

    monkeypatch.setattr(module.subprocess, "run", run)
    monkeypatch.setattr(module, "shipped", lambda: {"aa": "1", "numpy": "2"})
    monkeypatch.setattr("sys.argv", ["audit.py"])
    return module


def part(name, *holes):
    vulns = [{"id": each, "fix_versions": fixed} for each, fixed in holes]
    return {"name": name, "version": "1", "vulns": vulns}


def test_what_users_get_is_audited_and_tools_are_not(audit, monkeypatch):
    spec = importlib.util.spec_from_file_location("audit", TOOL)
    spec.loader.exec_module(audit)
    found = audit.shipped()
    assert {"numpy", "torch", "pillow", "tifffile", "napari", "safetensors"} <= set(found)
    assert not {"napari-semclass", "pytest", "ruff", "mypy"} & set(found)
    assert "+" not in found["torch"]


@pytest.mark.parametrize("first", [None, [{"name": "numpy", "skip_reason": "not found"}]], ids=["away", "mirror"])
def test_a_service_out_of_reach_is_said_after_one_question_and_fails_only_where_it_must(
    audit, first, capsys, monkeypatch
):
    audit.answers = {"numpy": first}
    assert audit.main() == 0
    assert "Not audited: 2 packages" in capsys.readouterr().out
    assert audit.asked == [{"numpy": "2"}]
    monkeypatch.setattr("sys.argv", ["audit.py", "--must"])
    assert audit.main() == 2


def test_a_service_that_breaks_off_is_not_good_news(audit, capsys):
    audit.answers = {"numpy": [part("numpy")], "aa": None}
    assert audit.main() == 0
    assert "Not audited" in capsys.readouterr().out


def test_a_vulnerability_with_a_release_that_mends_it_fails(audit, capsys):
    audit.answers = {"numpy": [part("numpy")], "aa": [part("aa", ("CVE-1", ["1.1"]), ("CVE-2", [])), part("numpy")]}
    assert audit.main() == 1
    said = capsys.readouterr().out
    assert "aa 1: CVE-1, mended in 1.1\n" in said
    assert "aa 1: CVE-2, mended in no release yet\n" in said
    assert "2 packages audited." in said


def test_one_that_nobody_can_mend_is_shown_only(audit, capsys):
    unknown = {"name": "numpy", "skip_reason": "not found"}
    audit.answers = {"numpy": [part("numpy")], "aa": [part("aa", ("CVE-2", [])), unknown]}
    assert audit.main() == 0
    said = capsys.readouterr().out
    assert "CVE-2, mended in no release yet" in said
    assert "Not known to the service: numpy.\n1 packages audited." in said
