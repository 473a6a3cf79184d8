"""Terminals whose locale is not UTF-8: names that cannot be printed are read, written and found again.

Python switches to UTF-8 by itself under LC_ALL=C; here that is turned off, as in a container that sets another locale.
"""

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

from napari_semclass.learn.held_out import read_held_out
from napari_semclass.learn.run import Run
from napari_semclass.model.file import read_card

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="elsewhere file names are Unicode whatever the locale"),
]
LATIN1 = "en_US.ISO-8859-1"


@pytest.fixture(scope="session")
def locales(tmp_path_factory):
    """A folder with a locale that the system may lack."""
    folder = tmp_path_factory.mktemp("locales")
    language, _, charmap = LATIN1.partition(".")
    with suppress(FileNotFoundError):
        command = ["localedef", "-i", language, "-f", charmap, str(folder / LATIN1)]
        subprocess.run(command, capture_output=True, check=False)
    return folder


@pytest.fixture(params=["C", LATIN1])
def environment(request, locales):
    """The variables of a session in another locale."""
    if request.param == "C":
        return dict(os.environ, LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    if not (locales / request.param).exists():
        pytest.skip(f"localedef cannot make {request.param} here")
    return dict(os.environ, LOCPATH=str(locales), LC_ALL=request.param, PYTHONUTF8="0")


ALL = """
import json, sys
from napari_semclass.cli import main
print(*[main(arguments) for arguments in json.loads(sys.argv[1])], sep="\\n", file=open("statuses", "w"))
"""


def semclass(environment, *commands, folder):
    """Exit statuses of these commands, carried out in one process, as each would wait for torch."""
    command = [sys.executable, "-c", ALL, json.dumps([line.split() for line in commands])]
    done = subprocess.run(command, capture_output=True, env=environment, cwd=folder, check=False)
    said = (done.stdout + done.stderr).decode(errors="replace")
    assert done.returncode == 0, said
    assert "Traceback" not in said
    assert "unforeseen" not in said, said
    return [int(status) for status in (folder / "statuses").read_text(encoding="utf-8").split()]


def pictures(folder: bytes):
    """Fine and coarse pictures in folders that no such locale can name; one file's name is no text anywhere."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:96, :96]
    for number, name in enumerate(("Körner", "条纹")):
        place = Path(os.fsdecode(folder + b"/" + name.encode()))
        place.mkdir(parents=True)
        for copy in range(4):
            waves = np.sin((x * np.cos(copy) + y * np.sin(copy)) / (0.5 * 6**number))
            pixels = np.clip(128 + 80 * waves + random.normal(0, 15, waves.shape), 0, 255).astype(np.uint8)
            file = f"Bild ü{copy}".encode() + (b"\xe9" if copy == 3 else b"") + b".png"
            (place / os.fsdecode(file)).write_bytes(iio.imwrite("<bytes>", pixels, extension=".png"))


def test_results_are_written_under_the_inputs_own_bytes_and_done_once(tmp_path, models, environment):
    pictures(os.fsencode(tmp_path / "in"))
    command = "classify in --out out --model tiny --device cpu"
    assert semclass(environment, command, "info in", "info in --json", folder=tmp_path) == [0, 0, 0]
    for name in (b"K\xc3\xb6rner/Bild \xc3\xbc0", "条纹/Bild ü3".encode() + b"\xe9"):
        for suffix in (b".tiles.csv", b".geojson", b".overlay.png"):
            assert os.path.exists(os.fsencode(tmp_path / "out") + b"/" + name + suffix)  # noqa: PTH110
    record = json.loads((tmp_path / "out" / "run.json").read_bytes())
    assert {entry["status"] for entry in record["files"]} == {"done"}
    assert any(entry["file"] == "in/Körner/Bild ü0.png" for entry in record["files"])
    assert "in/Körner/Bild ü0.png" in (tmp_path / "out" / "summary.csv").read_text(encoding="utf-8")
    before = (tmp_path / "out" / "Körner" / "Bild ü0.tiles.csv").stat().st_mtime_ns
    # In any other locale there is nothing left to do.
    assert semclass(dict(os.environ, LC_ALL="C.UTF-8", PYTHONUTF8="1"), command, folder=tmp_path) == [0]
    assert (tmp_path / "out" / "Körner" / "Bild ü0.tiles.csv").stat().st_mtime_ns == before
    assert len(list((tmp_path / "out").rglob("*.tiles.csv"))) == 8


@pytest.mark.parametrize("environment", ["C"], indirect=True)
def test_a_model_is_trained_judged_and_listed(tmp_path, environment):
    pictures(os.fsencode(tmp_path / "in"))
    rows = [f"{name}/Bild ü{copy}.png,{name}" for name in ("Körner", "条纹") for copy in range(3)]
    listed = tmp_path / "in" / "manifest.csv"
    environment = dict(environment, SEMCLASS_MODELS=str(tmp_path / "models"))
    tiny = "--recipe quick --device cpu --set backbone=test_resnet --set pretrained=none --set tile=32 --set stride=32"
    done = semclass(
        environment,
        "audit in --out audit.json",
        f"train in --out m.safetensors {tiny}",
        "evaluate m.safetensors in --out report --device cpu",
        "models",
        folder=tmp_path,
    )
    assert done == [0, 0, 0, 0]
    found = json.loads((tmp_path / "audit.json").read_bytes())
    assert [each["name"] for each in found["categories"]] == ["Körner", "条纹"]
    assert read_card(tmp_path / "m.safetensors").names == ("Körner", "条纹")
    assert Path(Run(tmp_path / "m.run").load()[1].data).is_dir()
    assert all(path.is_file() for path in read_held_out(tmp_path / "m.run" / "held_out.csv").paths)
    assert "条纹" in (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    listed.write_text("\n".join(["path,class", *rows]), encoding="utf-8")
    assert semclass(environment, "audit in", folder=tmp_path) == [0]


@pytest.mark.parametrize("environment", ["C"], indirect=True)
def test_a_failure_is_said_and_no_traceback(tmp_path, models, environment):
    (tmp_path / "größe").mkdir()
    (tmp_path / "größe" / "试样.png").write_bytes(b"no picture")
    done = semclass(
        environment,
        "classify . --out out --model tiny --device cpu",
        "audit .",
        "train . --out m.safetensors --recipe quick --set pretrained=none --device cpu",
        "evaluate tiny . --out report",
        "audit größe-nowhere",
        "train größe-nowhere --out m",
        "evaluate größe . --out report",
        folder=tmp_path,
    )
    assert done == [1, 0, 2, 2, 2, 2, 2]
