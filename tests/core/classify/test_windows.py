"""Windows: tiles that share one feature map get the same answers however the map is put together."""

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from napari_semclass.annotate import Categories, Marks, Point, Source, collect_tiles, mark_tiles
from napari_semclass.annotate.learning import learns_windows
from napari_semclass.classify import Settings, classification_steps, classify_micrograph
from napari_semclass.classify.features import feature_steps
from napari_semclass.classify.forward import Forward
from napari_semclass.classify.partial import Partial
from napari_semclass.classify.windows import SharedMaps, shared_maps
from napari_semclass.errors import ModelError
from napari_semclass.learn.quick import fit_quick, predict
from napari_semclass.micrograph import DataBar, GreyRange, Micrograph, as_micrographs
from napari_semclass.model import Model, build_network, load_model, save_model
from napari_semclass.model.card import card_from_json
from napari_semclass.model.network import BLANK
from napari_semclass.model.preprocess import network_input
from napari_semclass.model.windows import for_single_tiles, windows_of

TILE = 64
STRIDED = Settings(tile=TILE, stride=16, device="cpu", precision="fp32")


def scene(seed: int, height: int = 200, width: int = 330) -> np.ndarray:
    """Smooth bands of the three grey levels that the tiny model knows, with noise, and which of them each pixel is."""
    random = np.random.default_rng(seed)
    field = gaussian_filter(random.normal(size=(height, width)), 30)
    which = np.searchsorted(np.quantile(field, [1 / 3, 2 / 3]), field)
    return np.array([20, 125, 235])[which] + random.normal(0, 6, which.shape), which


def micrograph(pixels, bars=()):
    return Micrograph(np.clip(pixels, 0, 255).astype(np.uint8), source="scene", known_bars=bars)


@pytest.fixture(scope="module")
def tiles_model(tiny_model):
    """The tiny network with tiles of two by two cells."""
    return replace(tiny_model, card=replace(tiny_model.card, tile=TILE, input_size=TILE))


@pytest.fixture(scope="module")
def windows_model(tiles_model):
    """A head learned quickly from the windows of three generated micrographs."""
    features, labels, groups = [], [], []
    for seed in range(3):
        pixels, which = scene(seed)
        whole = micrograph(pixels)
        boxes = STRIDED.grid(whole, tiles_model.card).boxes()
        *_, last = feature_steps(whole, tiles_model, boxes, tile=TILE, device="cpu", windows=True)
        features.append(last.features)
        labels += [int(np.bincount(which[y0:y1, x0:x1].ravel()).argmax()) for y0, x0, y1, x1 in boxes.tolist()]
        groups += [seed] * len(boxes)
    return fit_quick(
        np.concatenate(features),
        np.array(labels),
        np.array(groups),
        np.array(groups),
        tiles_model.card.categories,
        tiles_model,
        tile=TILE,
        name="windows",
        title="Windows",
        tested="tested on other images",
        windows=True,
    ).model


def maps(model, whole, tile=TILE, **more):
    found = shared_maps(whole, GreyRange(0, 255), Forward.on(model, "cpu", precision="fp32"), tile)
    return replace(found, **more)


def test_a_trial_tells_which_networks_can_share_a_map(tiny_model):
    assert windows_of(tiny_model.network).stride == 32
    assert windows_of(load_model("starter").network).stride == 32
    assert windows_of(build_network("test_efficientnet", 3)) is None  # squeeze-excitation
    assert windows_of(build_network("test_vit", 3)) is None


def test_the_answer_is_that_of_most_pixels_of_the_tile(windows_model):
    pixels, which = scene(9)
    prediction = classify_micrograph(micrograph(pixels), windows_model, STRIDED)
    boxes = prediction.grid.boxes().tolist()
    shares = np.array([np.bincount(which[a:c, b:d].ravel(), minlength=3) / TILE**2 for a, b, c, d in boxes])
    clear = shares.max(axis=1) > 0.8
    assert clear.sum() > 30
    assert (prediction.tile_categories() == shares.argmax(axis=1))[clear].mean() > 0.95
    assert prediction.done.all()


def test_learning_and_classifying_see_the_same_features(windows_model, tmp_path):
    pixels, _ = scene(9)
    whole = micrograph(pixels)
    saved = save_model(
        windows_model.network, windows_model.card, tmp_path / "w.safetensors", half=False,
        familiar=windows_model.familiar,
    )  # fmt: skip
    prediction = classify_micrograph(whole, saved, STRIDED)
    *_, last = feature_steps(whole, windows_model, prediction.grid.boxes(), tile=TILE, device="cpu", windows=True)
    np.testing.assert_allclose(predict(last.features, windows_model), prediction.probabilities, atol=1e-4)


@pytest.mark.parametrize("tile", [50, 150])
def test_blocks_and_looks_of_any_size_give_the_same_answer(windows_model, monkeypatch, tile):
    whole = micrograph(scene(9, 230, 330)[0])
    settings = replace(STRIDED, tile=tile, stride=tile // 3)
    one = classify_micrograph(whole, windows_model, settings)
    monkeypatch.setattr("napari_semclass.classify.windows._BLOCK_CELLS", 5)
    monkeypatch.setattr("napari_semclass.classify.windows._READ_PX", 100)
    monkeypatch.setattr(SharedMaps, "__post_init__", lambda self: setattr(self, "look", 3))
    other = classify_micrograph(whole, windows_model, settings)
    np.testing.assert_allclose(other.probabilities, one.probabilities, atol=1e-4)
    np.testing.assert_allclose(other.strangeness, one.strangeness, atol=1e-3)


def test_a_tile_is_the_average_of_the_map_over_its_place(tiles_model):
    whole = micrograph(scene(9, 256, 320)[0])
    boxes = np.array([[64, 96, 128, 160], [80, 96, 144, 160]])
    *_, last = feature_steps(whole, tiles_model, boxes, tile=TILE, levels=GreyRange(0, 255), device="cpu", windows=True)
    grey = torch.from_numpy(whole.read(0, 256, 0, 320) / np.float32(255))
    with torch.inference_mode():
        cells = tiles_model.feature_map(grey).numpy()
    np.testing.assert_allclose(last.features[0], cells[:, 2:4, 3:5].mean(axis=(1, 2)), rtol=1e-4, atol=1e-5)
    rows = cells[:, 2:5] * np.array([0.5, 1, 0.5])[:, None] / 2
    np.testing.assert_allclose(last.features[1], rows[:, :, 3:5].sum(axis=1).mean(axis=1), rtol=1e-4, atol=1e-5)


def test_with_context_a_tile_is_the_average_over_its_surroundings_within_the_specimen(tiles_model):
    whole = micrograph(scene(9, 256, 320)[0], bars=(DataBar(192, 256, 1.0),))
    boxes = np.array([[64, 96, 128, 160], [128, 256, 192, 320]])
    *_, last = feature_steps(
        whole, tiles_model, boxes, tile=TILE, levels=GreyRange(0, 255), device="cpu", windows=True, context=3.0
    )
    grey = torch.from_numpy(whole.read(0, 192, 0, 320) / np.float32(255))
    with torch.inference_mode():
        cells = tiles_model.feature_map(grey).numpy()
    np.testing.assert_allclose(last.features[0], cells[:, 0:6, 1:7].mean(axis=(1, 2)), rtol=1e-4, atol=1e-5)
    # The corner above the data bar: nothing of the bar, nothing beyond the edge.
    np.testing.assert_allclose(last.features[1], cells[:, 2:6, 6:10].mean(axis=(1, 2)), rtol=1e-4, atol=1e-5)


def test_the_engine_takes_the_context_of_the_card_in_blocks_of_any_size(windows_model, monkeypatch):
    whole = micrograph(scene(9, 230, 330)[0])
    wider = replace(windows_model, card=replace(windows_model.card, context=2.5))
    one = classify_micrograph(whole, wider, STRIDED)
    *_, last = feature_steps(whole, wider, one.grid.boxes(), tile=TILE, device="cpu", windows=True, context=2.5)
    np.testing.assert_allclose(predict(last.features, wider), one.probabilities, atol=1e-4)
    assert np.abs(one.probabilities - classify_micrograph(whole, windows_model, STRIDED).probabilities).max() > 0.1
    monkeypatch.setattr("napari_semclass.classify.windows._BLOCK_CELLS", 5)
    monkeypatch.setattr(SharedMaps, "__post_init__", lambda self: setattr(self, "look", 3))
    other = classify_micrograph(whole, wider, STRIDED)
    np.testing.assert_allclose(other.probabilities, one.probabilities, atol=1e-4)


def test_where_tiles_come_alone_they_bring_their_surroundings(windows_model):
    """A tile three times as wide, in the network's eyes, is answered nearly as its middle is in its place."""
    pixels, _ = scene(9, 448, 448)
    wider = replace(windows_model, card=replace(windows_model.card, context=3.0))
    alone = for_single_tiles(wider)
    assert (alone.card.tile, alone.card.input_size, alone.card.windows) == (3 * TILE, 3 * TILE, False)
    settings = Settings(tile=TILE, stride=TILE, device="cpu", precision="fp32")
    placed = classify_micrograph(micrograph(pixels), wider, settings)
    row, column = 3, 3
    index = row * len(placed.grid.columns) + column
    y0, x0, y1, x1 = placed.grid.box(index)
    crop = micrograph(pixels[y0 - TILE : y1 + TILE, x0 - TILE : x1 + TILE])
    levels = GreyRange(*placed.made["grey_range"])
    *_, step = classification_steps(
        crop, alone, Settings(tile=3 * TILE, stride=3 * TILE, device="cpu", precision="fp32"), levels=levels
    )
    assert step.prediction.tile_categories()[0] == placed.tile_categories()[index]


@pytest.mark.parametrize(("side", "context"), [(384, 9.0), (512, 5.0), (64, 3.0)])
def test_what_comes_alone_is_seen_at_the_scale_that_was_learned(tiles_model, side, context):
    card = replace(tiles_model.card, tile=side, input_size=side, windows=True, context=context)
    alone = for_single_tiles(replace(tiles_model, card=card)).card
    assert alone.tile == alone.input_size == min(2048, side * context)


def test_a_whole_picture_at_the_scale_that_was_learned_gets_no_warning(windows_model):
    card = replace(windows_model.card, context=3.0, pixel_size_range=(1e-9, 1e-9))
    pixels = np.clip(scene(9, 3 * TILE, 3 * TILE)[0], 0, 255).astype(np.uint8)
    notes = []
    for pixel_size in (1e-9, 3e-9):
        (whole,) = as_micrographs(pixels, source="scene", pixel_size=pixel_size)
        model = replace(windows_model, card=card)
        notes.append(classify_micrograph(whole, model, Settings(mode="whole", device="cpu")).made["note"])
    assert "per pixel" not in notes[0]
    assert "shown at 3 nm per pixel" in notes[1]


def test_a_box_across_the_data_bar_changes_nothing_for_its_neighbours(tiles_model):
    whole = micrograph(scene(9, 256, 320)[0], bars=(DataBar(192, 208, 1.0),))
    beside, across = [96, 96, 160, 160], [170, 96, 234, 160]
    found = []
    for boxes in ([beside], [beside, across]):
        *_, last = feature_steps(
            whole, tiles_model, np.array(boxes), tile=TILE, levels=GreyRange(0, 255), device="cpu", windows=True,
            context=3.0,
        )  # fmt: skip
        found.append(last.features[0])
    np.testing.assert_allclose(*found, rtol=1e-4, atol=1e-5)


def test_pixels_are_resized_as_tiles_are(tiles_model):
    whole = micrograph(scene(9, 300, 400)[0])
    ground = maps(tiles_model, whole, tile=100).read(np.array([[0, 0, 300, 400]]))
    grey = torch.from_numpy(whole.read(0, 300, 0, 400) / np.float32(255))
    tiles = network_input(grey[None, 100:200, 200:300], tiles_model.card)[0, 0] * 0.5 + 0.5
    np.testing.assert_allclose(ground.pixels[66:126, 130:190], tiles[2:62, 2:62], atol=1e-5)


def test_what_is_read_in_strips_is_the_same(tiles_model, monkeypatch):
    whole = micrograph(scene(9, 300, 400)[0])
    one = maps(tiles_model, whole, tile=100).read(np.array([[0, 0, 300, 400]]))
    monkeypatch.setattr("napari_semclass.classify.windows._STRIP_PX", 400 * 37)
    other = maps(tiles_model, whole, tile=100).read(np.array([[0, 0, 300, 400]]))
    np.testing.assert_allclose(other.pixels, one.pixels, atol=1e-5)


def test_the_data_bar_stays_out(windows_model):
    pixels = scene(9, 260, 330)[0]
    bar = (DataBar(150, 180, 1.0),)
    black, white = pixels.copy(), pixels.copy()
    black[150:180], white[150:180] = 0, 255
    levels = GreyRange(0, 255)
    found = []
    for one in (black, white):
        *_, last = classification_steps(micrograph(one, bar), windows_model, STRIDED, levels=levels)
        found.append(last.prediction.probabilities)
    np.testing.assert_array_equal(*found)


def test_a_micrograph_smaller_than_a_tile_is_answered(windows_model):
    prediction = classify_micrograph(micrograph(scene(9, 40, 50)[0]), windows_model, STRIDED)
    assert prediction.done.all()
    assert len(prediction.grid) == 1


def test_tiles_that_show_nothing_are_strange(windows_model):
    pixels = scene(9)[0]
    flat_from = 200 - np.random.default_rng(0).integers(0, 20, len(pixels))  # jagged, or it would be taken for fill
    pixels[np.arange(pixels.shape[1]) >= flat_from[:, None]] = 125
    prediction = classify_micrograph(micrograph(pixels), windows_model, STRIDED)
    flat = prediction.grid.boxes()[:, 1] >= 200
    assert windows_model.familiar is not None
    assert (prediction.strangeness[flat] > 1).all()
    assert (prediction.strangeness[~flat] < BLANK).any()


def test_flips_and_turns_are_averaged(windows_model):
    whole = micrograph(scene(9)[0])
    turned = replace(whole, pixels=np.ascontiguousarray(np.rot90(whole.pixels)))
    settings = replace(STRIDED, stride=TILE, dihedral=True)
    cut = [replace(each, pixels=each.pixels[:192, :192]) for each in (whole, turned)]
    plain = classify_micrograph(cut[0], windows_model, settings).probabilities.reshape(3, 3, 3)
    again = replace(cut[0], pixels=np.ascontiguousarray(np.rot90(cut[0].pixels)))
    other = classify_micrograph(again, windows_model, settings).probabilities.reshape(3, 3, 3)
    np.testing.assert_allclose(other, np.rot90(plain), atol=1e-4)


def test_memory_that_runs_out_only_costs_time(windows_model, monkeypatch):
    whole = micrograph(scene(9)[0])
    one = classify_micrograph(whole, windows_model, STRIDED)
    compute, asked = Model.feature_map, []

    def small(self, grey, *rest):
        asked.append(grey.numel())
        if grey.numel() > 200 * 200:
            raise torch.OutOfMemoryError("out of memory")
        return compute(self, grey, *rest)

    monkeypatch.setattr(Model, "feature_map", small)
    monkeypatch.setattr("napari_semclass.classify.forward._release_memory", lambda device: None)  # takes seconds here
    other = classify_micrograph(whole, windows_model, STRIDED)
    assert max(asked) > 200 * 200
    np.testing.assert_allclose(other.probabilities, one.probabilities, atol=1e-4)


def test_a_stopped_run_goes_on_where_it_was(windows_model, monkeypatch, tmp_path):
    monkeypatch.setattr("napari_semclass.classify.windows._BLOCK_CELLS", 3)
    monkeypatch.setattr("napari_semclass.classify.windows._READ_PX", 64)
    whole = micrograph(scene(9)[0])
    one = classify_micrograph(whole, windows_model, STRIDED)
    partial, stop, done = Partial(tmp_path / ".p.zarr", (1, 1)), threading.Event(), 0
    for step in classification_steps(whole, windows_model, STRIDED, stop, partial=partial):
        done = step.done
        if done > len(one.grid) / 2:
            stop.set()
    assert len(one.grid) / 2 < done < len(one.grid)
    assert np.isfinite(step.prediction.probabilities[:, 0]).sum() == done
    steps = list(classification_steps(whole, windows_model, STRIDED, partial=partial))
    assert steps[0].done >= done / 2  # what was complete, before anything was computed
    np.testing.assert_allclose(steps[-1].prediction.probabilities, one.probabilities, atol=1e-4)


def test_a_model_of_single_tiles_says_that_windows_would_be_faster(tiles_model):
    whole = micrograph(scene(9)[0])
    assert "one by one" in classify_micrograph(whole, tiles_model, STRIDED).made["note"]
    assert not classify_micrograph(whole, tiles_model, replace(STRIDED, stride=TILE)).made["note"]


@pytest.mark.parametrize(("context", "width", "told"), [(3.0, TILE, True), (3.0, 2 * TILE, False), (1.0, TILE, False)])
def test_a_picture_of_one_tile_lacks_the_surroundings_that_were_learned_and_is_told_so(
    windows_model, context, width, told
):
    model = replace(windows_model, card=replace(windows_model.card, context=context))
    pixels = scene(9, TILE, width)[0]
    prediction = classify_micrograph(micrograph(pixels), model, replace(STRIDED, stride=TILE))
    assert ("without surroundings" in prediction.made["note"]) == told


def test_whole_pictures_are_answered_with_a_word_of_warning(windows_model):
    prediction = classify_micrograph(micrograph(scene(9)[0]), windows_model, replace(STRIDED, mode="whole"))
    assert prediction.done.all()
    assert "take tiles" in prediction.made["note"]


def test_a_card_that_its_network_cannot_follow_is_refused(tiny_card):
    card = replace(tiny_card, backbone="test_efficientnet", windows=True)
    model = Model(build_network(card.backbone, 3), card, "0" * 64)
    with pytest.raises(ModelError, match="test_efficientnet cannot do that"):
        classify_micrograph(micrograph(scene(9)[0]), model, STRIDED)


def test_earlier_cards_keep_their_hash(tiny_card):
    assert "windows" not in tiny_card.to_json()
    assert card_from_json(replace(tiny_card, windows=True).to_json(), "card").windows


@pytest.mark.parametrize(("stride", "windows"), [(16, True), (48, False), (64, False)])
def test_marks_are_learned_from_windows_only_where_that_is_faster(tiles_model, stride, windows):
    whole = micrograph(scene(9)[0])
    grid = replace(STRIDED, stride=stride).grid(whole, tiles_model.card)
    marks = Marks(points=(Point(1, 40.0, 40.0), Point(2, 150.0, 250.0)))
    source = Source("one", "one", whole, tile=grid.tile, stride=grid.stride)
    categories = Categories().add("dark").add("bright")
    labelled = collect_tiles([(source, mark_tiles(marks, grid))], categories, grid.tile)
    assert learns_windows(labelled, tiles_model) is windows
