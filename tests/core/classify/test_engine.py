"""The engine: right answers for every tile, whatever the batch, the array library or the memory."""

import threading

import dask.array as da
import numpy as np
import pytest
import torch
import zarr

from napari_semclass.classify import Settings, classification_steps, classify_micrograph
from napari_semclass.classify.forward import Forward
from napari_semclass.classify.whole import square_crops
from napari_semclass.errors import DeviceError, MicrographError, ModelError, SettingsError
from napari_semclass.micrograph import DataBar, Metadata, Micrograph, as_micrographs
from napari_semclass.model import Model


def bands(pixels):
    return Micrograph(pixels, source="bands", known_bars=())


def test_every_tile_gets_its_category(tiny_model, three_bands):
    prediction = classify_micrograph(bands(three_bands), tiny_model)
    assert prediction.tile_categories().reshape(3, 5).tolist() == [[0, 0, 1, 2, 2]] * 3
    np.testing.assert_allclose(prediction.area_fractions(), [0.4, 0.2, 0.4])
    np.testing.assert_allclose(prediction.probabilities.sum(1), 1, rtol=1e-5)


@pytest.mark.parametrize("settings", [Settings(batch=1), Settings(batch=4), Settings(batch=1000)])
def test_the_batch_does_not_change_the_answer(tiny_model, three_bands, settings):
    one = classify_micrograph(bands(three_bands), tiny_model)
    other = classify_micrograph(bands(three_bands), tiny_model, settings)
    np.testing.assert_allclose(other.probabilities, one.probabilities, atol=1e-4)


@pytest.mark.parametrize("wrap", [da.asarray, zarr.array], ids=["dask", "zarr"])
def test_lazy_arrays_and_small_blocks_give_the_same_answer(tiny_model, three_bands, wrap, monkeypatch):
    one = classify_micrograph(bands(three_bands), tiny_model, Settings(stride=16))
    monkeypatch.setattr("napari_semclass.classify.engine._BLOCK_PX", 3000)
    other = classify_micrograph(bands(wrap(three_bands)), tiny_model, Settings(stride=16))
    np.testing.assert_allclose(other.probabilities, one.probabilities, atol=1e-4)


@pytest.mark.parametrize(
    "convert", [lambda p: p.astype(np.uint16) * 100, lambda p: p / 255.0, lambda p: p[..., None].repeat(3, -1)]
)
def test_depth_range_and_colour_do_not_change_the_answer(tiny_model, three_bands, convert):
    one = classify_micrograph(bands(three_bands), tiny_model)
    (micrograph,) = as_micrographs(convert(three_bands))
    other = classify_micrograph(micrograph, tiny_model)
    np.testing.assert_array_equal(other.tile_categories(), one.tile_categories())
    np.testing.assert_allclose(other.probabilities, one.probabilities, atol=0.02)


def test_steps_fill_the_prediction_in_place_and_count(tiny_model, three_bands):
    steps = list(classification_steps(bands(three_bands), tiny_model, Settings(batch=4)))
    assert [step.done for step in steps] == [4, 8, 12, 15]
    assert {step.total for step in steps} == {15}
    assert steps[0].prediction is steps[-1].prediction


def test_stopping_keeps_what_is_done(tiny_model, three_bands):
    stop = threading.Event()
    steps = classification_steps(bands(three_bands), tiny_model, Settings(batch=4), stop)
    step = next(steps)
    stop.set()
    assert list(steps) == []
    assert step.done == 4
    assert step.prediction.done.sum() == 4
    assert step.prediction.tile_categories()[:4].tolist() == [0, 0, 1, 2]


def test_closing_the_generator_leaves_no_thread_behind(tiny_model, three_bands):
    steps = classification_steps(bands(three_bands), tiny_model, Settings(batch=1))
    next(steps)
    steps.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("semclass-read")]


class Hungry(torch.nn.Module):
    """A network that runs out of memory above a batch of two, as a small GPU would."""

    def __init__(self, network, limit, error):
        super().__init__()
        self.network, self.limit, self.error, self.seen = network, limit, error, []

    def forward(self, batch):
        if len(batch) > self.limit:
            raise self.error
        self.seen.append(len(batch))
        return self.network(batch)


OUT_OF_MEMORY = torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")


def test_out_of_memory_halves_the_batch_and_loses_nothing(tiny_model, three_bands):
    hungry = type(tiny_model)(Hungry(tiny_model.network, 2, OUT_OF_MEMORY), tiny_model.card, tiny_model.sha256)
    expected = classify_micrograph(bands(three_bands), tiny_model)
    steps = list(classification_steps(bands(three_bands), hungry, Settings(batch=8)))
    np.testing.assert_allclose(steps[-1].prediction.probabilities, expected.probabilities, atol=1e-4)
    assert max(hungry.network.seen) == 2
    assert steps[-1].done == steps[-1].total == 15


def test_a_device_that_cannot_take_one_tile_says_so(tiny_model, three_bands):
    for error in (OUT_OF_MEMORY, RuntimeError("CUDA error: device-side assert triggered")):
        broken = type(tiny_model)(Hungry(tiny_model.network, 0, error), tiny_model.card, tiny_model.sha256)
        with pytest.raises(DeviceError, match="CPU: computing failed"):
            classify_micrograph(bands(three_bands), broken)


@pytest.mark.parametrize("shape", [(5, 7), (31, 200), (33, 33), (2, 300)])
def test_images_smaller_than_a_tile_are_classified_whole(tiny_model, shape):
    pixels = np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)
    prediction = classify_micrograph(bands(pixels), tiny_model)
    assert np.isfinite(prediction.probabilities).all()
    assert prediction.cells().areas().sum() == pixels.size


def test_the_data_bar_is_not_classified(tiny_model, three_bands):
    barred = np.concatenate([three_bands, np.full((20, 160), 255, np.uint8)])
    micrograph = Micrograph(barred, known_bars=(DataBar(96, 116, 1.0),))
    prediction = classify_micrograph(micrograph, tiny_model)
    assert max(y1 for _, y1 in prediction.grid.rows) == 96
    expected = classify_micrograph(bands(three_bands), tiny_model)
    np.testing.assert_allclose(prediction.probabilities, expected.probabilities, atol=1e-4)
    assert prediction.made["data_bars"] == [[96, 116]]


def test_the_data_bar_is_classified_where_that_is_asked_for(tiny_model, three_bands):
    barred = np.concatenate([three_bands, np.full((20, 160), 255, np.uint8)])
    kept = classify_micrograph(
        Micrograph(barred, known_bars=(DataBar(96, 116, 1.0),)), tiny_model, Settings(keep_data_bar=True)
    )
    assert max(y1 for _, y1 in kept.grid.rows) == 116
    np.testing.assert_array_equal(kept.probabilities, classify_micrograph(bands(barred), tiny_model).probabilities)
    assert kept.made["data_bars"] == []
    assert kept.made["settings"]["keep_data_bar"] is True


def test_the_prediction_says_where_its_pixel_size_is_from(tiny_model, three_bands):
    known = Micrograph(three_bands, pixel_size=2e-9, metadata=Metadata((2e-9, 2e-9), "FEI PixelWidth"), known_bars=())
    prediction = classify_micrograph(known, tiny_model)
    assert (prediction.made["pixel_size_m"], prediction.made["pixel_size_source"]) == (2e-9, "FEI PixelWidth")
    unknown = classify_micrograph(bands(three_bands), tiny_model)
    assert (unknown.made["pixel_size_m"], unknown.pixel_size_source) == (None, "")


def test_dihedral_averages_the_eight_views(tiny_model):
    tiles = np.random.default_rng(0).random((3, 32, 32), dtype=np.float32)
    views = [np.rot90(f, k, (1, 2)) for f in (tiles, tiles[:, ::-1]) for k in range(4)]
    plain = Forward.on(tiny_model, "cpu")
    expected = np.mean([plain(np.ascontiguousarray(view)) for view in views], axis=0)
    np.testing.assert_allclose(Forward.on(tiny_model, "cpu", dihedral=True)(tiles), expected, atol=1e-5)


def test_whole_pictures_keep_their_aspect_and_average_their_crops(tiny_model, three_bands):
    prediction = classify_micrograph(bands(three_bands), tiny_model, Settings(mode="whole"))
    assert prediction.probabilities.shape == (1, 3)
    assert prediction.grid.box(0) == (0, 0, 96, 160)
    assert prediction.probabilities.sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("shape", [(10, 10), (10, 11), (30, 10), (10, 1000)])
def test_square_crops_reach_both_ends(shape):
    field = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    crops = square_crops(field)
    assert crops.shape[1:] == (10, 10)
    assert crops[0].flat[0] == field.flat[0]
    assert crops[-1].flat[-1] == field.flat[-1]
    assert (len(crops) == 1) == (shape == (10, 10))


def test_a_large_picture_is_shrunk_without_changing_what_it_shows(tiny_model, three_bands):
    large = np.kron(three_bands, np.ones((12, 12), np.uint8))
    small = classify_micrograph(bands(three_bands), tiny_model, Settings(mode="whole"))
    shrunk = classify_micrograph(bands(large), tiny_model, Settings(mode="whole"))
    np.testing.assert_allclose(shrunk.probabilities, small.probabilities, atol=0.05)


def test_how_it_was_made_is_recorded(tiny_model, three_bands):
    made = classify_micrograph(bands(three_bands), tiny_model, Settings(tile=48, stride=24)).made
    assert made["model"]["sha256"] == tiny_model.sha256
    assert made["settings"]["stride"] == 24
    assert {"torch", "timm", "napari-semclass"} <= set(made["versions"])
    assert made["device"] == "CPU"
    assert made["grey_range"][0] < 20 < 230 < made["grey_range"][1]


def test_problems_are_our_errors(tiny_model, three_bands):
    with pytest.raises(SettingsError, match="stride"):
        classify_micrograph(bands(three_bands), tiny_model, Settings(tile=32, stride=64))
    with pytest.raises(MicrographError, match="constant"):
        classify_micrograph(bands(np.zeros((64, 64))), tiny_model)


def overflowing(model, below):
    """The model with a network that answers NaN in numbers smaller than `below` bytes each, as an overflow does."""

    class Network(torch.nn.Module):
        def forward(self, batch):
            scores = model.network(batch)
            halved = torch.is_autocast_enabled("cpu")
            return scores * torch.nan if (2 if halved else 4) < below else scores

    network = Network()
    network.body = model.network
    return Model(network, model.card, model.sha256)


def test_what_float16_cannot_hold_is_computed_again_in_float32(tiny_model, three_bands, monkeypatch):
    monkeypatch.setattr("napari_semclass.classify.forward.fast_precision", lambda device: torch.bfloat16)
    prediction = classify_micrograph(bands(three_bands), overflowing(tiny_model, below=4))
    assert prediction.done.all()
    assert prediction.made["precision"] == "float32"
    expected = classify_micrograph(bands(three_bands), tiny_model).tile_categories()
    np.testing.assert_array_equal(prediction.tile_categories(), expected)


def test_an_answer_that_is_no_number_is_an_error_and_not_unclassified(tiny_model, three_bands):
    with pytest.raises(ModelError, match="not a number"):
        classify_micrograph(bands(three_bands), overflowing(tiny_model, below=8))


@pytest.mark.parametrize("wrong", [{"mode": "pixels"}, {"batch": 0}])
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(SettingsError, match=str(next(iter(wrong.values())))):
        Settings(**wrong)
