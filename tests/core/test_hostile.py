"""Files from strangers: whatever bytes they hold, they are read, or refused in one sentence, and run nothing."""

import csv
import gzip
import io
import json
import os
import pickle
import re
import shutil
import struct
import zipfile
from pathlib import Path, PureWindowsPath

import numpy as np
import pytest
import tifffile
import torch
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import napari_semclass
import semclass_training
from napari_semclass import Settings, classify_micrograph, load_model
from napari_semclass.annotate import Categories, ImageEntry, MarkLayer
from napari_semclass.annotate.arrays import load_arrays, save_arrays
from napari_semclass.annotate.project import Project, read_project, write_project
from napari_semclass.classify.journal import replay
from napari_semclass.classify.record import RECORD_NAME, Entry, Record, leads_away, load_record
from napari_semclass.classify.results import Results
from napari_semclass.errors import MicrographError, ModelError, OutputError, SemclassError, SettingsError
from napari_semclass.exchange import import_weights
from napari_semclass.learn.dataset import read_dataset
from napari_semclass.learn.events import EventLog, Warned, read_events
from napari_semclass.learn.plan import changed, read_plan, write_plan
from napari_semclass.learn.run import Run
from napari_semclass.micrograph import as_micrographs, open_micrographs
from napari_semclass.micrograph.formats import blocks, tiff
from napari_semclass.micrograph.headers import read_header
from napari_semclass.model.file import load_model_file
from semclass_training.checkpoint import read_memory

briefly = settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
NASTY = ["a/b", "..", "../../up", "C:\\x", "\\\\host\\x", "CON", "a\nb", "a\rb", "=1+1", "+1", "-1", "@x", "\tx", '"q"']
NASTY += ["<script>alert(1)</script>", "שלום", "\u202egnp.exe", "x" * 10_000, "a;b,c", "'", "a\x00b"]


@st.composite
def damage(draw, content: bytes) -> bytes:
    """The content with some bytes replaced, cut out or put in, or cut short."""
    broken = bytearray(content)
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, max(len(broken) - 1, 0)))
        kind = draw(st.sampled_from(["put", "put", "insert", "cut", "short"]))
        piece = draw(
            st.binary(min_size=1, max_size=8) | st.sampled_from([b"\xff" * 4, b"\0" * 8, b"9" * 40, b"[" * 999])
        )
        if kind == "put":
            broken[at : at + len(piece)] = piece
        elif kind == "insert":
            broken[at:at] = piece
        elif kind == "cut":
            del broken[at : at + len(piece)]
        else:
            del broken[at:]
    return bytes(broken)


def one_sentence(error: SemclassError) -> None:
    assert str(error), "an error without words"
    assert "\n" not in str(error), str(error)
    assert len(str(error)) < 2000


def survives(read, data, original: bytes, path: Path) -> None:
    """Reading the damaged file gives something, or an error of ours in one sentence."""
    path.write_bytes(data.draw(damage(original)))
    try:
        read(path)
    except SemclassError as error:
        one_sentence(error)


def read_pixels(path):
    for micrograph in open_micrographs(path):
        micrograph.read(0, min(64, micrograph.shape[0]), 0, min(64, micrograph.shape[1]))


PICTURE = np.random.default_rng(0).integers(0, 255, (48, 40), dtype=np.uint8)


def encoded(kind: str, folder: Path) -> bytes:
    path = folder / f"whole.{kind.split()[0]}"
    if kind.startswith("tif"):
        options = {"plain": {}, "zlib": {"compression": "zlib"}, "tiled": {"tile": (16, 16), "compression": "lzw"}}
        tifffile.imwrite(path, PICTURE, **options[kind.split()[1]], resolution=(100, 100))
    else:
        Image.fromarray(PICTURE).save(path)
    return path.read_bytes()


@pytest.mark.parametrize("kind", ["tif plain", "tif zlib", "tif tiled", "png", "jpg", "bmp"])
def test_pictures(kind, tmp_path):
    original = encoded(kind, tmp_path)

    @briefly
    @given(st.data())
    def check(data):
        survives(read_pixels, data, original, tmp_path / f"a.{kind.split()[0]}")

    check()


def test_zarr_folders(tmp_path):
    array = zarr.create_array(str(tmp_path / "a.zarr"), shape=(48, 40), chunks=(16, 16), dtype="uint8")
    array[:] = PICTURE
    originals = {path: path.read_bytes() for path in sorted((tmp_path / "a.zarr").rglob("*")) if path.is_file()}

    @settings(briefly, max_examples=60)
    @given(st.data())
    def check(data):
        path = data.draw(st.sampled_from(list(originals)))
        try:
            survives(lambda _: read_pixels(tmp_path / "a.zarr"), data, originals[path], path)
        finally:
            path.write_bytes(originals[path])

    check()


def test_model_files(tiny_model, tmp_path):
    original = tiny_model_bytes(tiny_model, tmp_path)

    @briefly
    @given(st.data(), st.booleans())
    def check(data, in_header):
        # Most of the file are weights: half of the damage goes into the header.
        end = 8 + int.from_bytes(original[:8], "little") if in_header else len(original)
        path = tmp_path / "a.safetensors"
        path.write_bytes(data.draw(damage(original[:end])) + original[end:])
        try:
            load_model_file(path)
        except SemclassError as error:
            one_sentence(error)

    check()


def tiny_model_bytes(model, folder: Path) -> bytes:
    from napari_semclass.model import save_model

    save_model(model.network, model.card, folder / "whole.safetensors", half=False)
    return (folder / "whole.safetensors").read_bytes()


def a_project(folder: Path) -> Path:
    categories = Categories().add().add()
    entry = ImageEntry("one", "one.tif", str(folder / "one.tif"), (48, 40), "uint8")
    painted = np.zeros((48, 40), np.uint8)
    painted[4:20, 4:20] = categories.items[0].number
    boxes = [np.array([[0, 0], [0, 9], [9, 9], [9, 0]], float)]
    layers = (
        MarkLayer("one", "labels", "paint", painted),
        MarkLayer("one", "shapes", "boxes", boxes, (categories.items[1].number,), ("rectangle",)),
    )
    write_project(Project(categories=categories, images=(entry,), layers=layers), folder / "p.semclass", {})
    return folder / "p.semclass"


def a_run(folder: Path) -> Path:
    run = Run(folder / "run")
    run.folder.mkdir()
    run.status_file.write_text(json.dumps({"state": "running", "pid": 1, "created": 1.0, "heartbeat": 2.0}))
    run.ask("finish")
    log = EventLog(run.events_file)
    for number in range(3):
        log.write(Warned(f"sentence {number}"))
    log.close()
    return run.folder


def ask_run(folder: Path) -> None:
    run = Run(folder)
    run.is_alive()
    run.wish()
    list(read_events(run.events_file))


def a_record(folder: Path) -> Path:
    entry = Entry("a.tif", "/x/a.tif", "a.tif", "a")
    record = Record({}, "cpu", "float32", {"sha256": "0"}, {}, ["a", "b"], "now", files=[entry])
    (folder / "out").mkdir()
    record.save(folder / "out")
    lines = [json.dumps({"started": "now"}), (folder / "out" / RECORD_NAME).read_text().replace("\n", "")]
    (folder / "out" / "run.jsonl").write_text("\n".join(lines) + "\n")
    return folder / "out"


def read_record(out: Path) -> None:
    record = load_record(out)
    if record is not None:
        replay(out, record)


def a_dataset(folder: Path) -> Path:
    (folder / "data").mkdir()
    Image.fromarray(PICTURE).save(folder / "data" / "a.png")
    lines = ["path,class,group,y0,x0,y1,x1,pixel_size,grey_low,grey_high", "a.png,grain,g,0,0,20,20,1e-9,0,255"]
    (folder / "data" / "manifest.csv").write_text("\n".join(lines) + "\n")
    return folder / "data"


FOLDERS = {
    "project": (a_project, read_project),
    "run": (a_run, ask_run),
    "record": (a_record, read_record),
    "data set": (a_dataset, read_dataset),
}


@pytest.mark.parametrize("kind", FOLDERS)
def test_folders_of_ours(kind, tmp_path):
    make, read = FOLDERS[kind]
    folder = make(tmp_path)
    read(folder)
    originals = {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}

    @settings(briefly, max_examples=120)
    @given(st.data())
    def check(data):
        path = data.draw(st.sampled_from(list(originals)))
        try:
            survives(lambda _: read(folder), data, originals[path], path)
        finally:
            shutil.rmtree(folder)
            for one, content in originals.items():
                one.parent.mkdir(parents=True, exist_ok=True)
                one.write_bytes(content)

    check()


def test_plans(tmp_path):
    write_plan(read_plan("progressive"), tmp_path / "whole.toml")
    original = (tmp_path / "whole.toml").read_bytes()

    @settings(briefly, max_examples=150)
    @given(st.data())
    def check(data):
        survives(read_plan, data, original, tmp_path / "a.toml")

    check()


@pytest.mark.parametrize(
    "text",
    ["[" * 20_000, "a = " + "[" * 20_000, "seed = " + "9" * 9000, "seed = nan", 'backbone = "\\ud800"', "a.b" * 99],
)
def test_plans_that_no_parser_expects(text, tmp_path):
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(SettingsError) as refused:
        read_plan(tmp_path / "a.toml")
    one_sentence(refused.value)


@pytest.mark.parametrize("assignment", ["seed=" + "[" * 9999, "stages.0.epochs=1e999", "a" * 9999 + "=1", "=", "seed="])
def test_changes_to_a_plan_that_no_parser_expects(assignment):
    with pytest.raises(SettingsError) as refused:
        changed(read_plan("progressive"), [assignment])
    one_sentence(refused.value)


@pytest.mark.parametrize("suffix", ["pth", "pt", "safetensors"])
def test_weights_of_others(suffix, tmp_path):
    weights = {"conv.weight": torch.ones(3, 3)}
    torch.save(weights, tmp_path / "whole")
    original = (tmp_path / "whole").read_bytes()

    @briefly
    @given(st.data())
    def check(data):
        survives(lambda path: asked(path, tmp_path), data, original, tmp_path / f"a.{suffix}")

    check()


def asked(path: Path, folder: Path) -> None:
    import_weights(path, folder / "out.safetensors", backbone="test_resnet", categories=["a", "b"], overwrite=True)


def test_a_damaged_state_dict_is_not_said_to_run_code(tmp_path):
    (tmp_path / "a.pth").write_bytes(bytes(range(7, 200)))
    with pytest.raises(ModelError, match="damaged") as refused:
        asked(tmp_path / "a.pth", tmp_path)
    assert "any code" not in str(refused.value)


def test_checkpoints(tmp_path):
    torch.save({"position": {"stage": 0}, "weights": {"a": torch.ones(2)}}, tmp_path / "whole")
    original = (tmp_path / "whole").read_bytes()

    @briefly
    @given(st.data())
    def check(data):
        survives(read_memory, data, original, tmp_path / "last.ckpt")

    check()


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def trap_files(folder: Path) -> dict[str, Path]:
    """The same booby trap in every wrapping that a reader might open."""
    bomb = pickle.dumps(Trap(folder / "sprung"), protocol=2)
    torch.save({"weight": Trap(folder / "sprung")}, folder / "trap.pth")
    np.save(folder / "array.npy", np.array([Trap(folder / "sprung")], dtype=object), allow_pickle=True)
    with zipfile.ZipFile(folder / "trap.npz", "w") as archive:
        archive.write(folder / "array.npy", "plane0.npy")
    for name in ("trap.pkl", "trap.tif", "trap.png", "trap.safetensors", "trap.toml", "trap.csv", "trap.json"):
        (folder / name).write_bytes(bomb)
    return {path.name: path for path in folder.glob("trap.*")}


def test_a_booby_trap_goes_off_nowhere(tmp_path):
    traps = trap_files(tmp_path)
    pickle.loads(traps["trap.pkl"].read_bytes())  # noqa: S301 - shows that the trap works
    (tmp_path / "sprung").rmdir()
    project, run, out, data = (make(tmp_path) for make, _ in FOLDERS.values())
    for name, trap in traps.items():
        for read in (open_micrographs, load_model, load_model_file, read_plan, load_arrays, read_memory):
            with pytest.raises(SemclassError):
                read(trap)
        with pytest.raises(SemclassError):
            asked(trap, tmp_path)
        for folder, read in ((project, read_project), (run, ask_run), (out, read_record), (data, read_dataset)):
            for path in [path for path in folder.rglob("*") if path.is_file()]:
                kept = path.read_bytes()
                shutil.copyfile(trap, path)
                try:
                    read(folder)
                except SemclassError as error:
                    one_sentence(error)
                path.write_bytes(kept)
        assert not (tmp_path / "sprung").exists(), name


FORBIDDEN = re.compile(
    r"(?<![\w.])eval\(|(?<![\w.])exec\(|pickle\.loads?\(|yaml\.(?:unsafe_)?load\(|joblib\.load\(|allow_pickle=True|"
    r"torch\.load\((?![^\n]*weights_only=True)|np\.load\((?![^\n]*allow_pickle=False)|shell=True|weights_only=False"
)


def test_no_module_opens_files_in_a_way_that_could_run_them():
    roots = [Path(module.__file__).parent for module in (napari_semclass, semclass_training)]
    found = {
        f"{path.name}: {match.group()}"
        for root in roots
        for path in root.rglob("*.py")
        for match in FORBIDDEN.finditer(path.read_text(encoding="utf-8"))
        # The one place that may, in a process of its own, when its user vouches for the file.
        if path.name != "unpickle.py"
    }
    assert not found
    assert FORBIDDEN.search("torch.load(path)")
    assert not FORBIDDEN.search("torch.load(path, weights_only=True)")


def test_a_picture_that_is_a_program_is_not_run(tmp_path):
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(x) print\n")
    with pytest.raises(MicrographError, match="content is not TIFF, PNG"):
        open_micrographs(tmp_path / "a.png")


def test_what_would_unpack_to_gigabytes_is_refused_before(tmp_path, monkeypatch):
    zarr.create_array(str(tmp_path / "a.zarr"), shape=(10**6, 10**6), chunks=(10**5, 10**5), dtype="uint8")
    with pytest.raises(MicrographError, match=r"blocks of 10\.0 GB.*smaller chunks"):
        open_micrographs(tmp_path / "a.zarr")
    group = zarr.open_group(str(tmp_path / "b.zarr"), mode="w")
    group.create_array("0", shape=(10**6, 10**6), chunks=(10**5, 10**5), dtype="uint8")
    with pytest.raises(MicrographError, match=r"blocks of 10\.0 GB"):
        open_micrographs(tmp_path / "b.zarr")
    flat = np.zeros((512, 512), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", flat, compression="zlib", rowsperstrip=512)
    monkeypatch.setattr(tiff, "_EAGER_BYTES", 1)
    assert open_micrographs(tmp_path / "a.tif")[0].read(0, 5, 0, 5).max() == 0
    monkeypatch.setattr(blocks, "LARGEST_BLOCK_BYTES", 100_000)
    with pytest.raises(MicrographError, match="save it in smaller chunks"):
        open_micrographs(tmp_path / "a.tif")
    tifffile.imwrite(tmp_path / "b.tif", flat, rowsperstrip=512)  # as long on disk as in memory: no bomb
    assert open_micrographs(tmp_path / "b.tif")[0].read(0, 5, 0, 5).max() == 0


def test_a_project_does_not_unpack_to_gigabytes(tmp_path, monkeypatch):
    name = save_arrays({"a": np.zeros((4000, 4000), np.uint8)}, tmp_path)
    assert load_arrays(tmp_path / name)["a"].shape == (4000, 4000)
    monkeypatch.setattr("napari_semclass.annotate.arrays._LARGEST_BYTES", 1_000_000)
    with pytest.raises(SettingsError, match="would unpack to"):
        load_arrays(tmp_path / name)


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
def test_a_list_of_pages_that_leads_back_to_itself_is_refused(big, order, tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.stack([PICTURE] * 3), photometric="minisblack", bigtiff=big, byteorder=order)
    assert len(open_micrographs(path)) == 3
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tiff:
        first, last = tiff.pages[0].offset, tiff.pages[2].offset
    size, tag, link = ("Q", 20, "Q") if big else ("H", 12, "I")
    (tags,) = struct.unpack_from(order + size, content, last)
    struct.pack_into(order + link, content, last + struct.calcsize(size) + tag * tags, first)
    path.write_bytes(content)
    with pytest.raises(MicrographError, match="leads back to itself"):
        open_micrographs(path)
    assert read_header(path) is None


def test_a_tiff_that_lacks_blocks_of_its_pixels_is_refused(tmp_path):
    """Else they would be zeros, and classified; or, of 34 million blocks in a file of 286 bytes, fill the memory."""
    path = tmp_path / "a.tif"
    pixels = np.zeros((64, 64), np.uint8)
    tifffile.imwrite(path, pixels, rowsperstrip=8, compression="zlib", photometric="minisblack")
    with tifffile.TiffFile(path, mode="r+") as tiff:
        tiff.pages[0].tags["ImageLength"].overwrite(6400)
    with pytest.raises(MicrographError, match=r"is damaged \(has 8 of 800 blocks of pixels\); copy it again"):
        open_micrographs(path)


def test_a_tiff_of_one_strip_may_say_what_it_likes_of_their_height(tmp_path):
    path = tmp_path / "a.tif"
    pixels = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
    tifffile.imwrite(path, pixels, photometric="minisblack")
    with tifffile.TiffFile(path, mode="r+") as tiff:
        tiff.pages[0].tags["RowsPerStrip"].overwrite(8)
    np.testing.assert_array_equal(open_micrographs(path)[0].read(0, 64, 0, 64), pixels)


def test_a_bomb_in_a_tiff_stops_at_the_size_it_said(tmp_path):
    """A strip that unpacks to more than its rows is damage, and never unpacked whole."""
    tifffile.imwrite(tmp_path / "a.tif", PICTURE, compression="zlib", rowsperstrip=48)
    content = bytearray((tmp_path / "a.tif").read_bytes())
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        offset, count = (tiff.pages[0].tags[tag].valueoffset for tag in (273, 279))
    bomb = gzip.zlib.compress(bytes(50_000_000))
    content[offset : offset + 4] = len(content).to_bytes(4, "little")
    content[count : count + 4] = len(bomb).to_bytes(4, "little")
    (tmp_path / "a.tif").write_bytes(bytes(content) + bomb)
    with pytest.raises(MicrographError):
        open_micrographs(tmp_path / "a.tif")


@pytest.mark.parametrize("stem", ["../x", "/x", "a/../../x", "a\x00b"])
def test_results_stay_below_their_folder(stem, tmp_path):
    refuse_changed_record(tmp_path, stem=stem)


@pytest.mark.parametrize("stem", ["..\\x", "a/..\\..\\x", "C:x", "C:\\x", "\\\\host\\share\\x", "\\x"])
def test_results_stay_below_their_folder_on_windows(stem):
    assert leads_away(stem, PureWindowsPath)
    assert not leads_away("sub\\x", PureWindowsPath)


def test_results_of_a_plane_stay_below_their_folder(tmp_path):
    """The names of planes are put behind the stem: they must not lead on from there."""
    refuse_changed_record(tmp_path, rows=[{"file": "a.tif/../../../x"}])


def refuse_changed_record(folder: Path, **changes) -> None:
    out = a_record(folder)
    raw = json.loads((out / RECORD_NAME).read_text())
    raw["files"][0] |= changes
    (out / RECORD_NAME).write_text(json.dumps(raw))
    with pytest.raises(OutputError, match="damaged"):
        load_record(out)


def test_a_carriage_return_in_the_event_stream_hides_nothing_behind_it(tmp_path):
    folder = a_run(tmp_path)
    lines = (folder / "events.jsonl").read_bytes().split(b"\n")
    (folder / "events.jsonl").write_bytes(b"\n".join([lines[0], b"dam\raged", *lines[1:]]))
    assert [event.sentence for _, event in read_events(folder / "events.jsonl")] == [f"sentence {n}" for n in range(3)]


def test_a_damaged_line_of_the_journal_costs_one_file(tmp_path):
    entries = [Entry(f"{name}.tif", f"/x/{name}.tif", f"{name}.tif", name) for name in "abc"]
    record = Record({}, "cpu", "float32", {"sha256": "0"}, {}, ["x", "y"], "now", files=entries)
    noted = [json.dumps({**vars(entry), "status": "done"}) for entry in entries]
    noted[1] = noted[1][:40] + "\r" + noted[1][41:]
    (tmp_path / "run.jsonl").write_text("\n".join([json.dumps({"started": "now"}), *noted]) + "\n", newline="")
    replay(tmp_path, record)
    assert [entry.status for entry in record.files] == ["done", "pending", "done"]


@pytest.mark.parametrize("pid", [-1, 0, 2**31, 10**30])
def test_a_status_of_no_possible_process_is_a_dead_run(pid, tmp_path):
    run = Run(a_run(tmp_path))
    run.status_file.write_text(json.dumps({"state": "running", "pid": pid, "created": 1.0, "heartbeat": 1e12}))
    assert not run.is_alive()


@pytest.fixture(scope="module")
def named_nastily(tiny_card, tiny_model):
    """A model whose categories have names that mean something to a shell, a spreadsheet, a browser or a disk."""
    from dataclasses import replace

    from napari_semclass.model import Category, Model

    def model(names):
        categories = tuple(Category(name, "#d55e00") for name in names)
        return Model(tiny_model.network, replace(tiny_card, categories=categories), tiny_model.sha256, None)

    return model


def test_nasty_category_names_are_refused_or_written_safely(named_nastily, three_bands, tmp_path):
    written = 0
    for name in NASTY:
        try:
            model = named_nastily([name, "grey", "bright"])
        except ValueError:  # of pydantic: such a name is none
            continue
        written += 1
        out = tmp_path / str(written)
        micrograph = as_micrographs(three_bands, source=name)[0]
        prediction = classify_micrograph(micrograph, model, Settings(reject="off"))
        results = Results(out, whole=False)
        results.write(prediction, micrograph, "a")
        below = {path.resolve().relative_to(out.resolve()).parts[0] for path in out.rglob("*")}
        assert all(part.startswith("a.") for part in below), below
        for table in out.glob("*.csv"):
            with table.open(newline="", encoding="utf-8-sig") as file:
                cells = [cell for row in csv.reader(file) for cell in row]
            text = [cell for cell in cells if not re.fullmatch(r"[-+]?[\d.]+(e[-+]?\d+)?", cell)]
            assert not [cell for cell in text if cell[:1] in tuple("=+-@\t\r")], name
        for shapes in out.glob("*.geojson"):
            json.loads(shapes.read_text(encoding="utf-8"))
        shown = prediction._repr_html_()
        assert "<script" not in shown
    assert written >= 5


def test_nasty_file_names_end_in_the_output_folder(tiny_model, three_bands, tmp_path):
    from napari_semclass.classify.batch import Batch

    source = tmp_path / "in"
    source.mkdir()
    for name in NASTY:
        if not {"/", "\x00"} & set(name) and name != ".." and len(name) < 200:
            Image.fromarray(three_bands).save(source / f"{name}.png")
    given_names = sorted(path.name for path in source.iterdir())
    batch = Batch([source], tiny_model, Settings(reject="off"), tmp_path / "out")
    list(batch.steps())
    assert sorted(entry.status for entry in batch.entries) == ["done"] * len(given_names)
    assert {path.name for path in tmp_path.iterdir()} == {"in", "out"}
    assert sorted(path.name for path in source.iterdir()) == given_names
    with (tmp_path / "out" / "summary.csv").open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.reader(file))
    assert len(rows) == len(given_names) + 1
    assert not [row[0] for row in rows if row[0][:1] in tuple("=+-@\t\r")]


def test_nothing_of_an_archive_leaves_its_folder(tmp_path):
    """Names inside an .npz are only names: whatever they say, nothing is unpacked to disk."""
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        buffer = io.BytesIO()
        np.save(buffer, np.zeros(3))
        archive.writestr("../../escaped.npy", buffer.getvalue())
    load_arrays(tmp_path / "a.npz")
    assert not list(tmp_path.parent.glob("**/escaped*"))
