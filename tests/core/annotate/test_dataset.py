"""Marks become data sets: what is learned from them is to the pixel what the engine classifies."""

from dataclasses import replace
from types import SimpleNamespace

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
import torch
from skimage.filters import gaussian

from napari_semclass.annotate import Categories, Marks, Point, Source, export_tiles, mark_tiles, write_dataset
from napari_semclass.annotate.collect import collect_tiles
from napari_semclass.classify import Settings, classify_micrograph
from napari_semclass.errors import OutputError, SettingsError
from napari_semclass.learn.audit import audit
from napari_semclass.learn.dataset import data_sha256, read_dataset
from napari_semclass.learn.tiles import Cutting, cut_samples
from napari_semclass.micrograph import DataBar, as_micrographs, open_micrographs
from napari_semclass.samples.synthetic import synthetic_micrograph

CATEGORIES = Categories().add("Pores").add("Fibres / thin")


def picture(seed=0, shape=(150, 200), dtype=np.uint8, levels=(10, 240)):
    noise = gaussian(np.random.default_rng(seed).normal(size=shape), 1.5)
    grey = levels[0] + (noise - noise.min()) / np.ptp(noise) * (levels[1] - levels[0])
    # A bright corner: the range of the whole differs from that of any tile.
    grey[-20:, -20:] = levels[1] * 1.05
    return grey.astype(dtype)


def labelled(card, *sources, settings=None):
    """Six tiles of each source, of two categories."""
    settings = settings or Settings()
    marked = []
    for source in sources:
        grid = settings.grid(source.micrograph, card)
        chosen = grid.boxes()[np.unique(np.linspace(0, len(grid) - 1, 6).astype(int))]
        points = tuple(Point(1 + n % 2, *((b[:2] + b[2:]) / 2 - 0.5)) for n, b in enumerate(chosen))
        marked.append((source, mark_tiles(Marks(points=points), grid)))
    return collect_tiles(marked, CATEGORIES, settings.tile or card.tile)


def on_disk(path, pixels, **more):
    (tifffile.imwrite if path.suffix == ".tif" else iio.imwrite)(path, pixels)
    return Source(path.stem, path.name, as_micrographs(pixels, source=path.name, **more)[0], path)


def learned(folder, card):
    """Tiles that training sees: pixels, boxes, files."""
    dataset = read_dataset(folder)
    cutting = Cutting("tile", card.tile, card.tile, card.tile, card.preprocessing)
    names = dataset.categories
    samples = cut_samples(dataset.pictures, range(len(dataset.pictures)), cutting, [0] * len(dataset.pictures), names)
    return dataset, samples


@pytest.fixture
def engine_tiles(tiny_model, monkeypatch):
    """Tiles of a micrograph as the engine gives them to the network, as uint8, by box."""

    def tiles(micrograph, settings):
        seen = []

        def forward(batch):
            seen.extend(np.round(np.clip(batch, 0, 1) * 255).astype(np.uint8))
            return np.full((len(batch), 3), 1 / 3, dtype=np.float32)

        class Spy(SimpleNamespace):
            def answers(self, batch):
                return forward(batch), None

        cpu = torch.device("cpu")
        spy = Spy(batch=10_000, precision_name="float32", runtime_name="torch", device_name="cpu", device=cpu)
        monkeypatch.setattr("napari_semclass.classify.engine.Forward.on", lambda *_: spy)
        classify_micrograph(micrograph, tiny_model, settings)
        return dict(zip(map(tuple, settings.grid(micrograph, tiny_model.card).boxes().tolist()), seen, strict=True))

    return tiles


def assert_same(labels, samples, engine_tiles, settings=None):
    wanted = [engine_tiles(source.micrograph, settings or Settings()) for source in labels.sources]
    assert len(samples) == len(labels)
    for tile, box in enumerate(labels.boxes.tolist()):
        np.testing.assert_array_equal(samples.pixels[tile], wanted[labels.source_index[tile]][tuple(box)])
        assert samples.categories[samples.labels[tile]] == labels.used[labels.labels[tile]].name


@pytest.mark.parametrize("stride", [None, 13])
def test_what_is_learned_is_what_is_classified(tmp_path, tiny_card, engine_tiles, stride):
    settings = Settings(stride=stride)
    stack = np.stack([picture(1), picture(2)])
    sources = [
        on_disk(tmp_path / "grey.png", picture()),
        on_disk(tmp_path / "deep.tif", picture(3, dtype=np.uint16, levels=(300, 40_000)), pixel_size=5e-9),
        on_disk(tmp_path / "float.tif", picture(4, dtype=np.float32, levels=(-1, 1))),
        on_disk(tmp_path / "colour.png", np.stack([picture(n) for n in (5, 6, 7)], axis=-1)),
        Source("stack", "stack", as_micrographs(stack)[1], None, 1),
        Source("small", "no file: just an array?", as_micrographs(picture(8, (20, 25)))[0]),
    ]
    labels = labelled(tiny_card, *sources, settings=settings)
    folder = write_dataset(labels, tmp_path / "data")
    dataset, samples = learned(folder, tiny_card)
    assert_same(labels, samples, engine_tiles, settings)
    np.testing.assert_array_equal(samples.boxes, labels.boxes)
    own = {path.name for path in (p.path for p in dataset.pictures) if path.parent == tmp_path.resolve()}
    assert own == {"grey.png", "deep.tif", "float.tif", "colour.png"}
    assert len(list((folder / "micrographs").iterdir())) == 2
    assert {p.pixel_size for p in dataset.pictures if p.path.name == "deep.tif"} == {5e-9}
    assert audit(dataset).unreadable == ()


def test_a_file_that_holds_something_else_by_now_is_not_used(tmp_path, tiny_card, engine_tiles):
    changed = on_disk(tmp_path / "a.png", picture())
    iio.imwrite(tmp_path / "a.png", picture(1))
    several = Source("b", "b", as_micrographs(picture(2))[0], tmp_path / "b.tif")
    tifffile.imwrite(tmp_path / "b.tif", np.stack([picture(2), picture(3)]), photometric="minisblack")
    labels = labelled(
        tiny_card, changed, several, Source("c", "c", as_micrographs(picture(4))[0], tmp_path / "gone.png")
    )
    dataset, samples = learned(write_dataset(labels, tmp_path / "data"), tiny_card)
    assert {p.path.parent.name for p in dataset.pictures} == {"micrographs"}
    assert_same(labels, samples, engine_tiles)


def test_data_bars_set_by_the_user_count_for_the_grey_range(tmp_path, tiny_card, engine_tiles):
    source = on_disk(tmp_path / "a.png", picture())
    barred = replace(source, micrograph=replace(source.micrograph, known_bars=(DataBar(100, 150, 1.0),)))
    labels = labelled(tiny_card, barred)
    assert labels.boxes[:, 2].max() <= 100
    dataset, samples = learned(write_dataset(labels, tmp_path / "data"), tiny_card)
    assert all(p.grey is not None for p in dataset.pictures)
    assert_same(labels, samples, engine_tiles)


def test_a_micrograph_with_a_data_bar_found_by_its_look(tmp_path, tiny_card, engine_tiles):
    source = on_disk(tmp_path / "bar.tif", synthetic_micrograph("Fibres", (384, 512), data_bar=True))
    assert source.micrograph.data_bars
    settings = Settings(tile=32)
    labels = labelled(tiny_card, source, settings=settings)
    _, samples = learned(write_dataset(labels, tmp_path / "data"), tiny_card)
    assert_same(labels, samples, engine_tiles, settings)


def test_real_micrographs_are_learned_as_they_are_classified(tmp_path, real_data, tiny_card, engine_tiles):
    paths = sorted((real_data / "nffa").rglob("*.jpg"))[::400][:3] or sorted((real_data / "nffa").rglob("*.tif"))[:3]
    sources = [Source(path.stem, path.name, open_micrographs(path)[0], path) for path in paths]
    labels = labelled(tiny_card, *sources, settings=Settings(tile=32))
    dataset, samples = learned(write_dataset(labels, tmp_path / "data"), tiny_card)
    assert {picture.path for picture in dataset.pictures} == {path.resolve() for path in paths}
    assert_same(labels, samples, engine_tiles, Settings(tile=32))
    exported = learned(export_tiles(labels, tmp_path / "tiles"), tiny_card)[1]
    assert_same(labels, exported, engine_tiles, Settings(tile=32))


def test_exported_tiles_keep_their_values_and_are_learned_as_in_their_micrograph(tmp_path, tiny_card, engine_tiles):
    sources = [
        on_disk(tmp_path / "grey.png", picture()),
        on_disk(tmp_path / "deep.tif", picture(3, dtype=np.uint16, levels=(300, 40_000))),
        on_disk(tmp_path / "float.tif", picture(4, dtype=np.float32, levels=(-1, 1))),
        on_disk(tmp_path / "colour.png", np.stack([picture(n) for n in (5, 6, 7)], axis=-1)),
        Source("again", "grey.png", as_micrographs(picture(9))[0]),
    ]
    labels = labelled(tiny_card, *sources)
    folder = export_tiles(labels, tmp_path / "tiles")
    dataset, samples = learned(folder, tiny_card)
    assert_same(labels, samples, engine_tiles)
    assert {p.path.parent.name for p in dataset.pictures} == {"Pores", "Fibres_thin"}
    assert {p.category for p in dataset.pictures} == {"Pores", "Fibres / thin"}
    assert {p.path.suffix for p in dataset.pictures} == {".png", ".tif"}
    first, (y0, x0, y1, x1) = dataset.pictures[6], labels.boxes[6]
    crop, before = open_micrographs(first.path)[0].pixels, data_sha256(dataset.pictures)
    assert crop.dtype == np.uint16
    np.testing.assert_array_equal(crop, sources[1].micrograph.pixels[y0:y1, x0:x1])
    moved = (tmp_path / "tiles").rename(tmp_path / "elsewhere")
    assert data_sha256(read_dataset(moved).pictures) == before


def test_groups_are_named_for_what_they_are(tmp_path, tiny_card):
    def groups(*sources):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        return {p.group for p in read_dataset(write_dataset(labelled(tiny_card, *sources), folder)).pictures}

    def source(name, seed, **more):
        return Source(f"{name}{seed}", name, as_micrographs(picture(seed, (400, 400)))[0], **more)

    assert groups(source("a", 0, specimen="wool"), source("b", 1, specimen="silk")) == {"wool", "silk"}
    assert groups(source("a", 0), source("a", 1)) == {"a", "a (2)"}
    regions = groups(source("a", 0))
    assert len(regions) > 2
    assert all(name.startswith("a, region ") for name in regions)


def test_imported_examples_are_learned_too_and_share_groups_where_they_are_of_the_same_file(tmp_path, tiny_card):
    sources = [on_disk(tmp_path / "a.png", picture()), on_disk(tmp_path / "b.png", picture(1))]
    labels = labelled(tiny_card, *sources)
    (tmp_path / "old").mkdir()
    iio.imwrite(tmp_path / "old" / "c.png", picture(2))
    rows = ["path,class,group,part", "c.png,PORES,old,train", "../a.png,Matrix,older,valid"]
    (tmp_path / "old" / "manifest.csv").write_text("\n".join(rows), encoding="utf-8")
    dataset = read_dataset(write_dataset(labels, tmp_path / "data", read_dataset(tmp_path / "old")))
    assert dataset.categories == ("Fibres / thin", "Matrix", "Pores")
    assert {p.part for p in dataset.pictures} == {""}
    groups = {name: {p.group for p in dataset.pictures if p.path.name == name} for name in ("a.png", "b.png", "c.png")}
    assert groups == {"a.png": {"a.png"}, "b.png": {"b.png"}, "c.png": {"old"}}
    assert [p.box for p in dataset.pictures if p.category == "Matrix"] == [(0, 0, 150, 200)]


def test_nothing_is_overwritten_and_nothing_marked_is_no_data_set(tmp_path, tiny_card):
    labels = labelled(tiny_card, on_disk(tmp_path / "a.png", picture()))
    folder = write_dataset(labels, tmp_path / "data")
    before = (folder / "manifest.csv").read_bytes()
    for write in (write_dataset, export_tiles):
        with pytest.raises(OutputError, match="holds a data set already"):
            write(labels, folder)
        with pytest.raises(SettingsError, match="nothing is marked"):
            write(collect_tiles([], CATEGORIES, 32), tmp_path / "new")
    assert (folder / "manifest.csv").read_bytes() == before
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="not empty"):
        export_tiles(labels, tmp_path / "full")
