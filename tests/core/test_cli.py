"""The command line: what is typed, what is said, what is written, and the exit status."""

import csv
import json
import subprocess
import sys

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
import zarr

import napari_semclass
from napari_semclass.cli import main
from napari_semclass.model import Model


@pytest.fixture
def data(tmp_path, three_bands, monkeypatch):
    """Three sound inputs below `data`, seen from the folder above it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data" / "sub").mkdir(parents=True)
    iio.imwrite(tmp_path / "data" / "a.png", three_bands)
    iio.imwrite(tmp_path / "data" / "sub" / "b.tif", three_bands)
    zarr.save_array(str(tmp_path / "data" / "z.zarr"), three_bands)
    return tmp_path / "data"


def classify(*arguments):
    return main(["classify", *arguments, "--out", "out", "--model", "tiny"])


def summary():
    with open("out/summary.csv", newline="", encoding="utf-8") as file:  # noqa: PTH123
        return {row["file"]: row for row in csv.DictReader(file)}


def refused(capsys, *arguments):
    """The sentence with which these arguments are refused."""
    assert classify(*arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("semclass: error: ")
    assert said.err.count("\n") == 1
    return said.err


def test_a_folder_is_classified_and_summed_up(data, models, capsys):
    assert classify("data") == 0
    said = capsys.readouterr()
    assert "3 files classified with tiny on CPU: 45 tiles" in said.out
    assert "Results in out" in said.out
    assert "starter" not in said.out
    assert "[3/3] data/sub/b.tif: " in said.err
    assert list(summary()) == ["data/a.png", "data/z.zarr", "data/sub/b.tif"]
    assert (data.parent / "out" / "sub" / "b.overlay.png").exists()


def test_a_second_run_has_nothing_to_do(data, models, capsys):
    classify("data")
    assert classify("data") == 0
    assert "3 files already done before. Nothing new" in capsys.readouterr().out


def test_one_bad_file_is_reported_and_the_status_is_1(data, models, capsys):
    (data / "bad.tif").write_text("text")
    assert classify("data", "none.tif") == 1
    said = capsys.readouterr().out
    assert "2 files failed:" in said
    assert "  none.tif: no such file or folder." in said
    assert "  data/bad.tif: cannot be read as an image" in said
    assert summary()["none.tif"]["error"] == "no such file or folder."


def test_where_nothing_is_there_nothing_is_left_and_the_status_is_2(data, models, capsys):
    assert classify("nowhere", "none.tif") == 2
    assert "nowhere, none.tif: no such file or folder." in capsys.readouterr().err
    assert not (data.parent / "out").exists()


def test_options_reach_the_engine(data, models):
    options = ["--tile", "48", "--stride", "24", "--batch", "2", "--device", "cpu", "--dihedral"]
    assert classify("data/*.png", *options) == 0
    settings = json.loads((data.parent / "out" / "run.json").read_text())["settings"]
    given = {"mode": "tiles", "tile": 48, "stride": 24, "device": "cpu", "batch": 2, "dihedral": True}
    unused = {"tile_um": None, "stride_um": None, "pixel_size": None, "precision": "auto", "runtime": "auto"}
    assert settings == {**given, **unused, "keep_data_bar": False, "reject": "off"}


def test_tiles_in_micrometres_need_a_pixel_size(data, models, capsys):
    picture = np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint8)
    tifffile.imwrite(data / "sized.tif", picture, resolution=(1e5, 1e5), resolutionunit=3, metadata=None)  # 100 nm
    assert classify("data", "--tile-um", "3.2") == 1
    assert "its pixel size is not known, so 3.2 µm cannot be laid" in capsys.readouterr().out
    assert summary()["data/sized.tif"]["error"] == ""
    assert classify("data", "--tile-um", "3200 nm", "--pixel-size", "0.2um", "--overwrite") == 0
    with (data.parent / "out" / "sized.tiles.csv").open(newline="", encoding="utf-8") as file:
        assert {int(line["y1"]) - int(line["y0"]) for line in csv.DictReader(file)} == {32}
    assert classify("data", "--tile-um", "3.2", "--pixel-size", "200") == 0
    assert "already done" in capsys.readouterr().out
    assert "one of the two" in refused(capsys, "data", "--tile-um", "2", "--tile", "32")
    assert "--tile-um" in refused(capsys, "data", "--whole", "--tile-um", "2")


def test_whole_pictures(data, models, capsys):
    assert classify("data", "--whole") == 0
    assert "3 pictures" in capsys.readouterr().out
    assert not list((data.parent / "out").rglob("*.csv"))[1:]


def test_the_data_bar_can_be_kept(tmp_path, models, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    picture = np.full((96, 160), 30, np.uint8)
    picture[:88] = np.random.default_rng(0).integers(0, 255, (88, 160))
    tag = (
        "[System]\r\nSystemType=Apreo\r\n[Scan]\r\nPixelWidth=3e-9\r\nPixelHeight=3e-9\r\n[Image]\r\nResolutionY=88\r\n"
    )
    tifffile.imwrite("a.tif", picture, extratags=[(34682, 2, len(tag), tag, True)], metadata=None)
    for arguments, lowest in (([], 88), (["--keep-data-bar"], 96)):
        assert classify("a.tif", "--overwrite", *arguments) == 0
        with (tmp_path / "out" / "a.tiles.csv").open(newline="", encoding="utf-8") as file:
            lines = list(csv.DictReader(file))
        assert max(int(line["y1"]) for line in lines) == lowest
        assert {float(line["pixel_size_m"]) for line in lines} == {3e-9}
        assert {line["pixel_size_source"] for line in lines} == {"FEI Scan.PixelWidth"}


def test_other_settings_need_overwrite(data, models, capsys):
    classify("data")
    capsys.readouterr()
    assert "--overwrite" in refused(capsys, "data", "--whole")
    assert classify("data", "--whole", "--overwrite") == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["data", "--stride", "500"], "stride 500 px is larger than tile 32 px"),
        (["data", "--whole", "--tile", "32"], "--whole"),
        (["empty"], "no images found"),
        (["data", "--model", "nope"], "no model named 'nope'"),
        (["data", "--model", "data/a.png"], "not a safetensors file"),
        (["data", "--device", "mps"], "mps"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(data, models, capsys, arguments, sentence):
    (data.parent / "empty").mkdir()
    arguments = ["classify", "--out", "out", "--model", "tiny", *arguments]
    if "mps" in arguments and sys.platform == "darwin":
        pytest.skip("this machine may have the device")
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1
    assert not (data.parent / "out").exists()


@pytest.mark.parametrize("arguments", [["--tile", "0"], ["--stride", "x"], ["--batch", "-1"], ["--device", "tpu"]])
def test_typing_mistakes_end_with_the_usage(data, models, capsys, arguments):
    with pytest.raises(SystemExit) as caught:
        classify("data", *arguments)
    assert caught.value.code == 2
    assert f"argument {arguments[0]}" in capsys.readouterr().err


def test_a_place_that_cannot_be_written_to_is_one_sentence(data, models, capsys):
    (data.parent / "out").write_text("in the way")
    assert "out" in refused(capsys, "data")


def test_ctrl_c_says_how_to_go_on(data, models, capsys, monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("napari_semclass.classify.results.write_overlay", interrupted)
    assert classify("data") == 130
    assert "again to go on" in capsys.readouterr().err
    monkeypatch.undo()
    monkeypatch.chdir(data.parent)
    monkeypatch.setenv("SEMCLASS_MODELS", str(models))
    assert classify("data") == 0
    assert len(summary()) == 3


def test_models_are_listed_with_what_is_known_of_them(models, capsys):
    assert main(["models"]) == 0
    said = capsys.readouterr().out
    assert "tiny: Tiny" in said
    assert "dark, grey, bright" in said
    assert "not tested" in said
    assert str(models) in said


@pytest.fixture
def small_demo(models, tiny_model: Model, monkeypatch, tmp_path):
    """The demo on a small mosaic with the toy model in the starter's place."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("napari_semclass.cli.demo._SHAPE", (256, 320))
    monkeypatch.setattr("napari_semclass.cli.demo.load_model", lambda name: tiny_model)


def test_the_demo_writes_its_results_twice_over(small_demo, tmp_path, capsys):
    for _ in range(2):
        assert main(["demo", "--no-viewer"]) == 0
        said = capsys.readouterr().out
        assert "synthetic" in said
        assert "says nothing about real micrographs" in said
    assert {path.name for path in (tmp_path / "semclass-demo").iterdir()} == {
        *("summary.csv", "summary.parquet", "run.json", "synthetic_mosaic.png", "synthetic_mosaic.tiles.csv"),
        *("synthetic_mosaic.geojson", "synthetic_mosaic.overlay.png"),
    }


def test_the_demo_leaves_results_of_others_alone(small_demo, data, capsys):
    classify("data", "--tile", "48")
    assert main(["demo", "--out", "out", "--no-viewer"]) == 2
    assert "other settings" in capsys.readouterr().err
    assert len(summary()) == 3


def test_the_demo_says_why_napari_stays_closed(small_demo, capsys, monkeypatch):
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert main(["demo"]) == 0
    assert "no display" in capsys.readouterr().out
    monkeypatch.setenv("DISPLAY", ":99")
    monkeypatch.setattr("napari_semclass.cli.demo.find_spec", lambda name: None)
    assert main(["demo"]) == 0
    assert "napari-semclass[all]" in capsys.readouterr().out


def semclass(*arguments):
    command = [sys.executable, "-c", "import sys; from napari_semclass.cli import main; sys.exit(main())", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_help_and_version_do_not_wait_for_torch():
    assert semclass("--version").stdout.split() == ["semclass", napari_semclass.__version__]
    code = (
        "import sys\nfrom napari_semclass.cli import main\n"
        "try: main(['classify', '--help'])\nexcept SystemExit: print('torch' in sys.modules, 'numpy' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.split()[-2:] == ["False", "False"]
    assert "--overwrite" in said


def test_the_installed_command_classifies(data, models):
    done = semclass("classify", "data/a.png", "data/bad.tif", "--out", "out", "--model", "tiny")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "1 file failed" in done.stdout
    assert semclass().returncode == 2


@pytest.mark.parametrize("folder", ["vendor", "materials/Powder_metal", "nffa/Tips"])
def test_real_micrographs_are_classified(real_data, models, tmp_path, monkeypatch, folder):
    monkeypatch.chdir(tmp_path)
    status = classify(str(real_data / folder), "--whole")
    rows = summary()
    failed = {file.rsplit("/", 1)[-1] for file, row in rows.items() if row["error"]}
    blank_or_broken = {"fei_broken_pixels.tif", "fei_helios_16bit.tif", "fei_navcam_bad_floats.tif"}
    assert failed == (blank_or_broken if folder == "vendor" else set())
    assert status == (1 if failed else 0)
    assert len(rows) - len(failed) == len(list((tmp_path / "out").rglob("*.overlay.png"))) > 0
    assert np.isfinite([float(row["confidence"]) for row in rows.values() if not row["error"]]).all()
