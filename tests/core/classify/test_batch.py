"""Batches: every file gets its row and its results, failures stay alone, and runs can be resumed."""

import csv
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pyarrow.parquet
import pytest
import tifffile
import zarr

from napari_semclass.classify import Settings
from napari_semclass.classify.batch import Batch
from napari_semclass.errors import OutputError, SemclassError, SettingsError
from napari_semclass.model import save_model

FOR_ALL = {"summary.csv", "summary.parquet", "run.json"}


@pytest.fixture
def data(tmp_path, three_bands, monkeypatch):
    """Five inputs in `data`: a picture, a stack whose second plane is constant, a zarr, text, and one in a folder."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "data"
    (folder / "sub").mkdir(parents=True)
    iio.imwrite(folder / "a.png", three_bands)
    stack = np.stack([three_bands, np.zeros_like(three_bands), three_bands[:, ::-1]])
    tifffile.imwrite(folder / "s.tif", stack, photometric="minisblack")
    zarr.save_array(str(folder / "z.zarr"), three_bands)
    (folder / "text.tif").write_text("no picture")
    iio.imwrite(folder / "sub" / "a.png", three_bands[:, :60])
    return folder


def run(model, *paths, out="out", settings=None, **options):
    batch = Batch(paths or ["data"], model, settings or Settings(), out, **options)
    for _ in batch.steps():
        pass
    return batch


def summary(out="out"):
    with (Path(out) / "summary.csv").open(newline="", encoding="utf-8") as file:
        return {row["file"]: row for row in csv.DictReader(file)}


def record(out="out"):
    with (Path(out) / "run.json").open(encoding="utf-8") as file:
        return json.load(file)


def outputs(out="out"):
    return {path.relative_to(out).as_posix() for path in Path(out).rglob("*") if path.is_file()}


def results(*stems, suffixes=("tiles.csv", "geojson", "overlay.png")):
    return {f"{stem}.{suffix}" for stem in stems for suffix in suffixes}


def test_every_plane_has_a_row_and_failures_stay_alone(data, tiny_model):
    batch = run(tiny_model)
    rows = summary()
    assert list(rows) == [
        *("data/a.png", "data/s.tif#0", "data/s.tif#1", "data/s.tif#2", "data/text.tif", "data/z.zarr"),
        "data/sub/a.png",
    ]
    assert outputs() == results("a", "s#0", "s#2", "z", "sub/a") | FOR_ALL
    assert "constant" in rows["data/s.tif#1"]["error"]
    assert rows["data/text.tif"]["error"].startswith("cannot be read as an image")
    assert rows["data/text.tif"]["category"] == rows["data/text.tif"]["prob_dark"] == ""
    good = rows["data/a.png"]
    assert list(good) == [
        *("file", "category", "confidence", "prob_dark", "prob_grey", "prob_bright"),
        *("fraction_dark", "fraction_grey", "fraction_bright", "pixel_size_m", "pixel_size_source", "error", "note"),
    ]
    shares = [float(good[f"prob_{name}"]) for name in ("dark", "grey", "bright")]
    assert float(good["confidence"]) == max(shares)
    assert good["category"] == ("dark", "grey", "bright")[int(np.argmax(shares))]
    assert sum(float(good[f"fraction_{name}"]) for name in ("dark", "grey", "bright")) == pytest.approx(1)
    assert good["error"] == ""
    assert [entry.file for entry in batch.entries if entry.status == "failed"] == ["data/s.tif", "data/text.tif"]


def test_the_parquet_summary_says_what_the_csv_says_with_types(data, tiny_model, three_bands):
    resolution = {"resolution": (1 / 7.3, 1 / 7.3), "resolutionunit": "NONE"}
    tifffile.imwrite(data / "fiji.tif", three_bands, imagej=True, metadata={"unit": "nm"}, **resolution)
    run(tiny_model)
    table = pyarrow.parquet.read_table("out/summary.parquet")
    lines, expected = {line["file"]: line for line in table.to_pylist()}, summary()
    assert list(lines) == list(expected)
    assert table.column_names == list(expected["data/a.png"])
    assert lines["data/fiji.tif"]["pixel_size_m"] == pytest.approx(7.3e-9, rel=1e-5)
    assert lines["data/text.tif"]["confidence"] is None
    for name, line in lines.items():
        for column, value in line.items():
            said = expected[name][column]
            if isinstance(value, float):
                assert value == pytest.approx(float(said), abs=1e-6)
            else:
                assert (value or "") == said


def test_without_pyarrow_there_is_no_parquet_summary_and_none_that_is_out_of_date(data, tiny_model, monkeypatch):
    run(tiny_model, "data/a.png")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    run(tiny_model)
    assert outputs() == results("a", "s#0", "s#2", "z", "sub/a") | FOR_ALL - {"summary.parquet"}
    assert len(summary()) == 7


def test_the_record_says_how_it_was_made(data, tiny_model):
    run(tiny_model)
    content = record()
    assert content["model"] == {"name": "tiny", "sha256": tiny_model.sha256}
    assert content["settings"]["tile"] == content["settings"]["stride"] == 32
    assert content["device"] == "CPU"
    assert "torch" in content["versions"]
    assert content["finished"] >= content["started"]
    assert content["tiles"] == sum(entry["tiles"] for entry in content["files"]) > 0
    assert content["tiles_per_second"] == pytest.approx(content["tiles"] / content["seconds"], rel=0.01)


def test_the_pixel_size_stands_in_every_table(data, tiny_model, three_bands):
    resolution = {"resolution": (1 / 7.3, 1 / 7.3), "resolutionunit": "NONE"}
    tifffile.imwrite(data / "fiji.tif", three_bands, imagej=True, metadata={"unit": "nm"}, **resolution)
    run(tiny_model)
    row, unknown = summary()["data/fiji.tif"], summary()["data/a.png"]
    assert float(row["pixel_size_m"]) == pytest.approx(7.3e-9, rel=1e-5)
    assert (unknown["pixel_size_m"], unknown["pixel_size_source"]) == ("", "")
    (entry,) = (entry for entry in record()["files"] if entry["file"] == "data/fiji.tif")
    assert entry["rows"][0]["pixel_size_m"] == pytest.approx(7.3e-9, rel=1e-5)
    assert entry["rows"][0]["pixel_size_source"] == row["pixel_size_source"] == "ImageJ resolution and unit"
    with (data.parent / "out" / "fiji.tiles.csv").open(newline="", encoding="utf-8") as file:
        assert {line["pixel_size_m"] for line in csv.DictReader(file)} == {row["pixel_size_m"]}


def test_a_record_from_before_data_bars_could_be_kept_is_continued(data, tiny_model):
    run(tiny_model)
    content = record()
    del content["settings"]["keep_data_bar"]
    for entry in content["files"]:
        for row in entry["rows"]:
            del row["pixel_size_m"], row["pixel_size_source"]
    Path("out/run.json").write_text(json.dumps(content), encoding="utf-8")
    assert {entry.file for entry in run(tiny_model).todo} == {"data/s.tif", "data/text.tif"}


def test_whole_pictures_have_no_table_and_no_shapes(data, tiny_model):
    run(tiny_model, settings=Settings(mode="whole"))
    assert outputs() == results("a", "s#0", "s#2", "z", "sub/a", suffixes=["overlay.png"]) | FOR_ALL


def test_running_again_does_only_what_failed_changed_or_is_missing(data, tiny_model, three_bands):
    run(tiny_model)
    before = summary()
    (data.parent / "out" / "sub" / "a.geojson").unlink()
    iio.imwrite(data / "a.png", three_bands[:, ::-1])
    os.utime(data / "a.png", (1, 1))
    zarr.save_array(str(data / "new.zarr"), three_bands)
    again = run(tiny_model, "data/")
    assert [entry.file for entry in again.todo] == [
        *("data/a.png", "data/new.zarr", "data/s.tif", "data/text.tif", "data/sub/a.png")
    ]
    assert set(summary()) == set(before) | {"data/new.zarr"}
    assert {entry.file for entry in run(tiny_model).todo} == {"data/s.tif", "data/text.tif"}


def test_rows_of_other_inputs_stay(data, tiny_model):
    run(tiny_model, "data/a.png")
    run(tiny_model, "data/sub")
    assert set(summary()) == {"data/a.png", "data/sub/a.png"}
    assert {"a.overlay.png", "data/sub/a.png.overlay.png"} < outputs()
    run(tiny_model, "data/sub", overwrite=True)
    assert set(summary()) == {"data/a.png", "data/sub/a.png"}


def test_a_file_given_in_another_way_keeps_one_row(data, tiny_model):
    run(tiny_model, "data/a.png")
    again = run(tiny_model, str(data / "a.png"))
    assert again.todo == []
    assert list(summary()) == [(data / "a.png").as_posix()]


def test_a_stem_that_clashes_later_moves_and_leaves_nothing_behind(data, tiny_model, three_bands):
    run(tiny_model, "data/a.png")
    iio.imwrite(data / "a.bmp", three_bands)
    run(tiny_model, "data/a.png", "data/a.bmp")
    assert outputs() == results("a.png", "a.bmp") | FOR_ALL
    assert run(tiny_model, "data/a.bmp", "data/a.png").todo == []
    assert run(tiny_model, "data/a.bmp").todo == []


@pytest.mark.parametrize(
    "settings", [Settings(tile=48), Settings(stride=16), Settings(mode="whole"), Settings(keep_data_bar=True)]
)
def test_other_settings_are_refused_unless_overwriting(data, tiny_model, settings):
    run(tiny_model)
    before = outputs()
    with pytest.raises(OutputError, match=r"other settings; .*--overwrite"):
        Batch(["data"], tiny_model, settings, "out")
    assert outputs() == before
    run(tiny_model, settings=settings, overwrite=True)
    assert ("a.geojson" in outputs()) == (settings.mode == "tiles")


def test_settings_that_give_the_same_result_are_the_same(data, tiny_model):
    run(tiny_model)
    assert len(Batch(["data"], tiny_model, Settings(tile=32, stride=32, device="cpu", batch=3), "out").todo) == 2


@pytest.mark.parametrize("name", ["summary.csv", "summary.parquet", "a.geojson", "run.json"])
def test_files_of_others_are_not_overwritten(data, tiny_model, name):
    (data / name).write_text("mine")
    with pytest.raises(OutputError, match="--overwrite"):
        Batch(["data"], tiny_model, Settings(), "data")
    assert (data / name).read_text(encoding="utf-8") == "mine"
    run(tiny_model, "data", out="data", overwrite=True)
    assert (data / name).read_bytes() != b"mine"


def test_results_beside_the_images_are_not_classified_again(data, tiny_model):
    first = run(tiny_model, out="data")
    second = run(tiny_model, out="data")
    assert [entry.file for entry in first.entries] == [entry.file for entry in second.entries]


def test_an_edited_record_cannot_reach_outside(data, tiny_model):
    run(tiny_model)
    content = record()
    content["files"][0]["stem"] = "../data/a"
    (data.parent / "out" / "run.json").write_text(json.dumps(content))
    with pytest.raises(OutputError, match="damaged"):
        Batch(["data"], tiny_model, Settings(), "out")


def test_stopping_keeps_what_is_done_and_resumes(data, tiny_model):
    for number in range(100):
        shutil.copy(data / "a.png", data / f"more {number}.png")
    stop = threading.Event()
    batch = Batch(["data"], tiny_model, Settings(batch=1), "out")
    for step in batch.steps(stop):
        if step.finished:
            stop.set()
    assert record()["finished"] is None
    # More than the first file may be done: others are computed while one is written.
    kept = set(summary())
    assert "data/a.png" in kept
    todo = {entry.file for entry in Batch(["data"], tiny_model, Settings(), "out").todo}
    assert todo
    assert not todo & kept
    run(tiny_model)
    assert len(summary()) == 107


def test_closing_in_the_middle_of_a_file_loses_nothing(data, tiny_model):
    run(tiny_model)
    os.utime(data / "a.png", (1, 1))
    steps = Batch(["data"], tiny_model, Settings(batch=1), "out").steps()
    next(steps)
    steps.close()
    assert {entry["file"]: entry["status"] for entry in record()["files"]}["data/a.png"] == "pending"
    run(tiny_model)
    assert len(summary()) == 7
    assert outputs() == results("a", "s#0", "s#2", "z", "sub/a") | FOR_ALL


def test_a_killed_run_is_resumed_without_losing_or_repeating(data, tiny_model, three_bands, tmp_path):
    for index in range(40):
        iio.imwrite(data / f"n{index:02}.png", three_bands)
    # It kills itself, in the middle of the files on any machine.
    code = (
        "import psutil, sys; from napari_semclass.classify import Batch, Settings; "
        "from napari_semclass.model import load_model; import napari_semclass.classify.journal as j\n"
        "j._SAVE_EVERY_S = 1000\n"
        "finished = 0\n"
        "for step in Batch(['data'], load_model(sys.argv[1]), Settings(), 'out').steps():\n"
        "    finished += step.finished\n"
        "    if finished == 6: psutil.Process().kill()"
    )
    path = tmp_path / "m.safetensors"
    model = save_model(tiny_model.network, tiny_model.card, path, half=False)
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode != 0
    journal = Path("out/run.jsonl")
    noted = [json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines()[1:]]
    done = {entry["file"] for entry in noted if entry["status"] == "done"}
    assert list(summary()) == []  # written whole at the start, and not since
    batch = run(model)
    assert len(done) >= 5
    assert 0 < len(batch.todo) < 45
    assert not done & {entry.file for entry in batch.todo}
    assert len(summary()) == 47
    leftovers = [name for name in outputs() if name.endswith(".part")]
    assert len(leftovers) <= 1
    assert not journal.exists()


def noted(out, started, *entries):
    """An output folder as a killed run leaves it: run.json of its beginning, and a journal."""
    content = record(out)
    finished = content["files"]
    content["files"] = [{**entry, "status": "pending", "rows": []} for entry in finished]
    (Path(out) / "run.json").write_text(json.dumps(content), encoding="utf-8")
    lines = [json.dumps({"started": started or content["started"]})]
    lines += [json.dumps(entry) for entry in finished if entry["file"] in entries]
    (Path(out) / "run.jsonl").write_text("\n".join(lines), encoding="utf-8")


def test_a_journal_that_was_cut_short_is_read_as_far_as_it_goes(data, tiny_model):
    run(tiny_model, "data/a.png", "data/z.zarr", "data/sub/a.png")
    noted("out", None, "data/a.png", "data/z.zarr")
    text = Path("out/run.jsonl").read_text(encoding="utf-8")
    Path("out/run.jsonl").write_text(text[:-20], encoding="utf-8")
    again = Batch(["data/a.png", "data/z.zarr"], tiny_model, Settings(), "out")
    assert [entry.file for entry in again.todo] == ["data/z.zarr"]


def test_the_journal_of_another_run_is_not_believed(data, tiny_model):
    run(tiny_model, "data/a.png")
    noted("out", "2001-01-01", "data/a.png")
    assert len(Batch(["data/a.png"], tiny_model, Settings(), "out").todo) == 1


def test_writing_does_not_hold_up_computing(data, tiny_model, patience, monkeypatch):
    import napari_semclass.classify.pipeline as pipeline

    computed, write = threading.Semaphore(0), pipeline._write

    def patient(*parts):
        assert computed.acquire(timeout=patience)  # until the file after the next one is computed, too
        return write(*parts)

    monkeypatch.setattr(pipeline, "_write", patient)
    for name in ("s.tif", "text.tif"):
        (data / name).unlink()
    for step in Batch(["data"], tiny_model, Settings(), "out").steps():
        if not step.finished and step.done == step.total and step.index:
            computed.release(2)
    assert [row["error"] for row in summary().values()] == [""] * 3


def test_one_strange_failure_does_not_stop_the_rest(data, tiny_model, monkeypatch):
    import napari_semclass.classify.results as results_module

    def odd(prediction, micrograph, path, **options):
        if micrograph.shape == (96, 60):
            raise ZeroDivisionError("odd")
        if micrograph.plane == 0:
            raise MemoryError

    monkeypatch.setattr(results_module, "write_overlay", odd)
    run(tiny_model)
    rows = summary()
    assert "report it" in rows["data/sub/a.png"]["error"]
    assert "not enough memory" in rows["data/s.tif#0"]["error"]
    assert rows["data/z.zarr"]["error"] == ""


def test_a_full_disk_ends_the_batch_in_one_sentence(data, tiny_model, monkeypatch):
    import napari_semclass.classify.results as results_module

    def full(*args, **options):
        raise OutputError("out: cannot be written (No space left on device).")

    monkeypatch.setattr(results_module, "write_overlay", full)
    with pytest.raises(OutputError, match="No space left"):
        run(tiny_model)


def test_an_output_folder_that_cannot_be_made_is_named(data, tiny_model):
    (data.parent / "out").write_text("a file")
    with pytest.raises(OutputError, match="out"):
        run(tiny_model)


@pytest.mark.skipif(sys.platform == "win32", reason="file names may be longer there")
def test_a_name_too_long_for_its_outputs_is_that_files_failure(data, tiny_model, three_bands):
    iio.imwrite(data / f"{'n' * 250}.png", three_bands)
    run(tiny_model)
    run(tiny_model)
    assert "too long" in summary()[f"data/{'n' * 250}.png"]["error"]
    assert summary()["data/z.zarr"]["error"] == ""


def test_what_cannot_be_done_is_said_before_anything_is_written(tiny_model, tmp_path):
    with pytest.raises(SettingsError, match="no images found"):
        Batch([tmp_path], tiny_model, Settings(), tmp_path / "out")
    (tmp_path / "a.tif").touch()
    for settings in (Settings(stride=99), Settings(device="warp")):
        with pytest.raises(SemclassError, match=r"stride|warp"):
            Batch([tmp_path], tiny_model, settings, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems' file names are Unicode")
def test_a_name_that_is_not_unicode_is_classified_and_not_repeated(data, tiny_model, three_bands):
    strange = os.fsencode(data) + b"/n\xff.png"
    with open(strange, "wb") as file:  # noqa: PTH123 - a Path cannot be made of such bytes
        iio.imwrite(file, three_bands, extension=".png")
    batch = run(tiny_model)
    assert {entry.status for entry in batch.entries if "\\xff" in entry.file} == {"done"}
    assert summary()["data/n\\xff.png"]["category"]
    again = run(tiny_model)
    assert not [entry for entry in again.todo if "\\xff" in entry.file]


def test_what_is_to_know_about_the_pixels_is_recorded(data, tiny_model, three_bands):
    with tifffile.TiffWriter(data / "two.tif") as writer:
        writer.write(three_bands)
        writer.write(three_bands[:20, :20])
    run(tiny_model)
    (entry,) = [entry for entry in record()["files"] if entry["file"] == "data/two.tif"]
    assert "first of 2 images" in entry["rows"][0]["note"]


@pytest.fixture
def large(data, three_bands, monkeypatch):
    """A micrograph of nine blocks, which counts as large."""
    monkeypatch.setattr("napari_semclass.classify.engine._BLOCK_PX", 25_000)
    monkeypatch.setattr("napari_semclass.classify.partial.LARGE_PX", 100_000)
    iio.imwrite(data / "sub" / "large.png", np.tile(three_bands, (4, 3)))
    return data / "sub" / "large.png"


def interrupted(model, path, out="out"):
    """Begin a batch and leave it like a process that was killed: nothing is put in order."""
    for step in Batch([path], model, Settings(), out).steps():
        if step.done > step.total / 2:
            return step.done
    raise AssertionError("it was not interrupted")


def test_a_large_micrograph_goes_on_after_its_last_finished_block(large, wary_model):
    run(wary_model, large, out="whole")
    done = interrupted(wary_model, large)
    first = next(step for step in Batch([large], wary_model, Settings(), "out").steps())
    assert done / 2 < first.done <= done < first.total
    batch = run(wary_model, large)
    assert batch.entries[0].tiles == first.total
    assert Path("out/large.tiles.csv").read_bytes() == Path("whole/large.tiles.csv").read_bytes()
    assert outputs() == results("large") | FOR_ALL


def test_blocks_of_other_settings_or_another_file_are_not_used(large, wary_model, three_bands):
    interrupted(wary_model, large)
    (step, *_) = Batch([large], wary_model, Settings(stride=16, batch=4), "out", overwrite=True).steps()
    assert step.done == 4
    interrupted(wary_model, large, out="other")
    iio.imwrite(large, np.tile(three_bands, (4, 3))[::-1])
    (step, *_) = Batch([large], wary_model, Settings(batch=4), "other").steps()
    assert step.done == 4


def test_damaged_blocks_are_computed_again(large, wary_model):
    interrupted(wary_model, large)
    (partial,) = Path("out").glob(".*.partial.zarr")
    (partial / "zarr.json").write_text("{")
    run(wary_model, large)
    assert summary()[large.as_posix()]["error"] == ""
