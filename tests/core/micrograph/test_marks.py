"""What is drawn over the specimen is told; specimen is not taken for it."""

import imageio.v3 as iio
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from napari_semclass.micrograph import DataBar, Micrograph, find_marks, open_micrographs


def specimen(height=300, width=400):
    rng = np.random.default_rng(0)
    blobs = ndimage.gaussian_filter(rng.normal(size=(height, width)), 6)
    return np.clip(120 + 30 * blobs / blobs.std() + rng.normal(0, 6, (height, width)), 0, 255).astype(np.uint8)


def drawn(what, ink):
    picture = Image.fromarray(specimen())
    draw = ImageDraw.Draw(picture)
    if what == "text":
        draw.text((50, 100), "SAMPLE 17", fill=ink, font=ImageFont.load_default(size=20))
    else:
        draw.rectangle((250, 250, 330, 254), fill=ink)
    return np.asarray(picture)


@pytest.mark.parametrize("ink", [0, 255])
@pytest.mark.parametrize(("what", "box"), [("text", (100, 50, 125, 150)), ("scale bar", (250, 250, 255, 331))])
def test_text_and_scale_bars_are_found_where_they_are(what, box, ink):
    marks = [mark for mark in find_marks(Micrograph(drawn(what, ink))) if mark.kind == what]
    assert len(marks) == 1
    assert np.abs(np.subtract(marks[0].box, box)).max() <= 16


def test_coloured_marks_are_found():
    picture = np.repeat(specimen()[..., None], 3, axis=-1)
    picture[100:103, 40:200] = (0, 255, 0)
    marks = find_marks(Micrograph(picture, rgb=True))
    assert [(mark.kind, mark.box) for mark in marks] == [("colour", (100, 40, 103, 200))]


@pytest.mark.parametrize(
    "pixels",
    [
        specimen(),
        np.zeros((50, 50)),
        np.full((50, 50), np.nan),
        np.random.default_rng(0).random((200, 200)),
        np.random.default_rng(0).integers(0, 2, (200, 200), dtype=np.uint8),
        np.ones((1, 1)),
        specimen() > 120,
    ],
    ids=["specimen", "blank", "nan", "noise", "black and white", "one pixel", "mask"],
)
def test_what_is_not_drawn_is_left_alone(pixels):
    assert find_marks(Micrograph(pixels)) == ()


def test_a_coloured_picture_is_not_a_mark():
    picture = np.random.default_rng(0).integers(0, 255, (80, 90, 3), dtype=np.uint8)
    assert not [mark for mark in find_marks(Micrograph(picture, rgb=True)) if mark.kind == "colour"]


def test_marks_in_a_data_bar_are_no_marks_on_the_specimen():
    picture = drawn("text", 255)
    assert find_marks(Micrograph(picture, known_bars=(DataBar(95, 130, 1),))) == ()


def test_burnt_in_titles_and_real_specimens(real_data):
    titled = sorted((real_data / "nffa_annotated").rglob("*.png"))
    assert sum(bool(find_marks(open_micrographs(path)[0])) for path in titled) >= 8
    clean = sorted((real_data / "materials").rglob("*.jpg"))[::8]
    assert sum(bool(find_marks(Micrograph(iio.imread(path), known_bars=()))) for path in clean) <= 2
