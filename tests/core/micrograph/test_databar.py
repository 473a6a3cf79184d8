"""Data bars are found in pictures of all kinds, and specimen is never taken for one."""

import csv
import io
import os
import time
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from napari_semclass.micrograph.databar import DataBar, find_data_bars, specimen_rows

_ROOT = Path(__file__).parents[3]
_DATA = Path(os.environ.get("SEMCLASS_TEST_DATA", _ROOT.parent / "shared" / "data"))
_LABELS = _ROOT / "tests" / "data" / "data_bars.csv"
_needs_data = pytest.mark.skipif(
    not (_DATA / "nffa").is_dir(), reason="real micrographs are not here: set SEMCLASS_TEST_DATA"
)


def _specimen(height=480, width=640, seed=0):
    """Return a smooth noisy texture, uint8."""
    rng = np.random.default_rng(seed)
    blobs = ndimage.gaussian_filter(rng.normal(size=(height, width)), 6)
    noisy = 110 + 35 * blobs / blobs.std() + rng.normal(0, 8, (height, width))
    return np.clip(noisy, 0, 255).astype(np.uint8)


def _with_bar(start, level, text, height=40, frame=None):
    """Return a specimen with a data bar of two lines of text from row `start`."""
    picture = Image.fromarray(_specimen())
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, start, 640, start + height - 1), fill=level, outline=frame)
    for x, words in ((90, "EHT = 5.00 kV"), (230, "Signal A = InLens"), (400, "Stage at T = 0.0")):
        draw.text((x, start + 5), words, fill=text)
        draw.text((x, start + 22), words[::-1], fill=text)
    draw.text((8, start + 5), "200 nm", fill=text)
    draw.rectangle((8, start + 26, 60, start + 28), fill=text)
    return np.asarray(picture)


def _as_jpeg(grey, quality=85):
    buffer = io.BytesIO()
    Image.fromarray(grey).save(buffer, format="JPEG", quality=quality)
    return np.asarray(iio.imread(buffer.getvalue()))


def _overlap(bar, start, stop):
    return (min(bar.stop, stop) - max(bar.start, start)) / (max(bar.stop, stop) - min(bar.start, start))


_CONVERSIONS = {
    "uint8": lambda a: a,
    "uint16": lambda a: a.astype(np.uint16) * 257,
    "int16": lambda a: a.astype(np.int16) * 100 - 12000,
    "float": lambda a: a / 255.0 * 1e-3 - 5,
    "jpeg": _as_jpeg,
    "poor jpeg": lambda a: _as_jpeg(a, 60),
}


@pytest.mark.parametrize("start", [0, 200, 380, 440], ids=["top", "middle", "low", "bottom"])
@pytest.mark.parametrize(("level", "text"), [(0, 255), (255, 0), (96, 255)], ids=["dark", "bright", "grey"])
@pytest.mark.parametrize("kind", list(_CONVERSIONS))
def test_finds_bar(kind, level, text, start):
    bars = find_data_bars(_CONVERSIONS[kind](_with_bar(start, level, text)))
    assert [(bar.start, bar.stop) for bar in bars] == [(start, start + 40)]
    assert (0.5 if "jpeg" in kind else 0.9) <= bars[0].confidence <= 1


def test_frame_lines_belong_to_the_bar():
    assert [(bar.start, bar.stop) for bar in find_data_bars(_with_bar(300, 255, 0, frame=0))] == [(300, 340)]


@pytest.mark.parametrize(
    ("start", "rows", "expected"),
    [
        (0, 3, (0, 43)),
        (0, 4, (0, 40)),
        (3, 3, (0, 46)),
        (300, 1, (299, 341)),
        (300, 3, (297, 343)),
        (300, 4, (300, 340)),
        (437, 3, (434, 480)),
        (440, 3, (437, 480)),
        (440, 4, (440, 480)),
    ],
)
def test_lines_of_up_to_three_rows_beside_a_bar_are_its_frame(start, rows, expected):
    picture = _with_bar(start, 255, 0).copy()
    picture[max(0, start - rows) : start] = 128
    picture[start + 40 : start + 40 + rows] = 60
    assert [(bar.start, bar.stop) for bar in find_data_bars(picture)] == [expected]


def test_framed_black_bar_below_black_specimen():
    picture = _with_bar(440, 0, 255, frame=255).copy()
    picture[:440] = 0
    assert [(bar.start, bar.stop) for bar in find_data_bars(picture)] == [(440, 480)]


@pytest.mark.parametrize(("height", "found"), [(11, False), (12, True), (81, True), (82, False)])
def test_bars_are_a_fortieth_to_a_sixth_of_the_height(height, found):
    bars = find_data_bars(_with_bar(300, 255, 0, height=height))
    assert [(bar.start, bar.stop) for bar in bars] == [(300, 300 + height)] * found


@pytest.mark.parametrize(("more", "stop"), [(6, 340), (8, 348), (14, 354)])
@pytest.mark.parametrize("start", [0, 300])
def test_a_strip_of_another_grey_belongs_to_the_bar_where_that_is_clearly_more(start, more, stop):
    picture = _with_bar(start, 255, 0).copy()
    picture[start + 40 : start + 40 + more] = 250
    assert [(bar.start, bar.stop) for bar in find_data_bars(picture)] == [(start, start + stop - 300)]


@pytest.mark.parametrize(("right", "lost"), [(230, False), (330, True), (600, True)])
@pytest.mark.parametrize("start", [0, 200, 440])
def test_a_logo_cut_by_the_edge_belongs_to_the_bar_where_most_of_the_row_is_the_bars(start, right, lost):
    lower, upper = (_with_bar(start, 255, 0).copy() for _ in range(2))
    lower[start + 34 : start + 40, 20:right] = 30
    upper[start : start + 5, 20:right] = 30
    assert [(bar.start, bar.stop) for bar in find_data_bars(lower)] == [(start, start + (34 if lost else 40))]
    assert [(bar.start, bar.stop) for bar in find_data_bars(upper)] == [(start + (5 if lost else 0), start + 40)]


@pytest.mark.parametrize(("share", "confidence"), [(0.05, 0.96), (0.3, 0.70)])
def test_a_bar_is_less_sure_beside_specimen_of_its_grey(share, confidence):
    for rows in (slice(290, 300), slice(340, 350)):
        picture = _with_bar(300, 255, 0).copy()
        picture[rows, : int(640 * share)] = 255
        (bar,) = find_data_bars(picture)
        assert (bar.start, bar.stop) == (300, 340)
        assert bar.confidence == pytest.approx(confidence, abs=0.02)


def test_bar_not_quite_full_width():
    picture = _with_bar(400, 255, 0).copy()
    picture[:, 632:] = _specimen()[:, 632:]
    assert len(find_data_bars(picture)) == 1


def test_two_bars_in_order():
    picture = _with_bar(400, 255, 0).copy()
    picture[60:100] = _with_bar(60, 0, 255)[60:100]
    assert [bar.start for bar in find_data_bars(picture)] == [60, 400]


@pytest.mark.parametrize("kind", ["uint8", "uint16", "jpeg"])
@pytest.mark.parametrize(("level", "text"), [(0, 255), (255, 0), (96, 255)], ids=["dark", "bright", "grey"])
def test_lines_between_fields_do_not_cut_a_bar(kind, level, text):
    picture = Image.fromarray(_with_bar(400, level, text, height=60))
    draw = ImageDraw.Draw(picture)
    draw.text((400, 438), "View field: 211 um   VEGA3", fill=text)
    for across in (420, 436):
        draw.line((0, across, 560, across), fill=text)
    for down in (85, 220, 390):
        draw.line((down, 400, down, 459), fill=text)
    bars = find_data_bars(_CONVERSIONS[kind](np.asarray(picture)))
    assert len(bars) == 1
    assert _overlap(bars[0], 400, 460) >= 0.9


@pytest.mark.parametrize(("level", "text"), [(0, 255), (255, 0)], ids=["dark", "bright"])
def test_a_bar_may_hold_only_a_scale(level, text):
    picture = Image.fromarray(_specimen())
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 430, 640, 480), fill=level)
    draw.text((20, 434), "10 nm", fill=text, font=ImageFont.load_default(size=24))
    draw.rectangle((20, 468, 120, 471), fill=text)
    assert [(bar.start, bar.stop) for bar in find_data_bars(np.asarray(picture))] == [(430, 480)]


@pytest.mark.parametrize(("places", "found"), [((18,), False), ((300,), False), ((18, 60), True), ((18, 600), True)])
def test_text_in_one_place_only_makes_no_bar(places, found):
    picture = Image.fromarray(_specimen())
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 420, 640, 480), fill=255)
    for x in places:
        for line, words in enumerate(("10nm", "5 kV", "WMD8", "8 mm")):
            draw.text((x, 424 + 13 * line), words, fill=0)
    assert [(bar.start, bar.stop) for bar in find_data_bars(np.asarray(picture))] == [(420, 480)] * found


def _with_lines(*thick):
    """Return a specimen with a bar in rows 300 to 376 that grey lines cut after 24 and 50 rows, one side left free."""
    picture = _with_bar(300, 255, 0, height=76).copy()
    picture[300:376] = 255
    draw = Image.fromarray(picture)
    for row in (303, 332, 358):
        ImageDraw.Draw(draw).text(
            (20, row), "EHT = 5.00 kV   Signal A = InLens   WD = 8.1 mm   Stage at T = 0.0", fill=0
        )
    picture = np.array(draw)
    for row, rows in zip((324, 350), thick, strict=True):
        picture[row : row + rows, :530] = 128
        picture[row : row + rows, 530:] = _specimen()[row : row + rows, 530:]
    return picture


@pytest.mark.parametrize(
    ("thick", "expected"),
    [
        ((0, 0), [(300, 376)]),
        ((2, 0), [(300, 376)]),
        ((3, 3), [(300, 376)]),
        ((4, 0), [(300, 324), (328, 376)]),
        ((3, 4), [(300, 350), (354, 376)]),
    ],
)
def test_only_lines_of_up_to_three_rows_may_cut_a_bar_where_they_end_in_something_else(thick, expected):
    assert [(bar.start, bar.stop) for bar in find_data_bars(_with_lines(*thick))] == expected


def test_a_thick_line_cuts_a_bar_also_behind_a_thin_one():
    picture = _with_lines(3, 0)
    picture[327:331, 530:] = 0
    picture[331:335] = picture[324]
    assert [(bar.start, bar.stop) for bar in find_data_bars(picture)] == [(300, 324), (335, 376)]


def test_a_line_may_leave_some_of_the_bar_and_end_in_something_else():
    picture = _with_lines(3, 0)
    picture[324:327, 410:536] = 255
    assert [(bar.start, bar.stop) for bar in find_data_bars(picture)] == [(300, 376)]


@pytest.mark.parametrize("rows", [2, 3])
def test_rows_of_specimen_are_no_line_in_a_bar(rows):
    picture = _with_lines(0, 0)
    picture[324 : 324 + rows] = _specimen()[324 : 324 + rows]
    assert [(bar.start, bar.stop) for bar in find_data_bars(picture)] == [(300, 324), (324 + rows, 376)]


def _with_pieces(*pieces):
    """Return a specimen with a white bar of 40 rows at 300 that holds black pieces `(x, height, width)` and no text."""
    picture = _specimen().copy()
    picture[300:340] = 255
    for x, height, width in pieces:
        picture[305 : 305 + height, x : x + width] = 0
    return picture


_THREE = ((30, 9, 9), (150, 9, 6), (550, 9, 9))


@pytest.mark.parametrize(
    ("last", "found"),
    [
        ((300, 9, 16), True),  # a fourth letter
        ((300, 3, 152), True),  # a scale
        ((300, 3, 156), False),  # a line longer than a quarter of the width is none, and three letters are no text
        ((300, 24, 8), True),
        ((300, 25, 8), False),  # a logo higher than 0.6 of the bar is no letter
    ],
)
def test_a_letter_is_at_most_a_quarter_of_the_width_long_and_less_than_two_thirds_of_the_bar_high(last, found):
    bars = find_data_bars(_with_pieces(*_THREE, last))
    assert [(bar.start, bar.stop) for bar in bars] == [(300, 340)] * found


@pytest.mark.parametrize(("width", "found"), [(5, True), (7, False), (10, False), (13, False), (18, True)])
def test_letters_are_of_uneven_size(width, found):
    """Four pieces, two 10 wide: a fourth of the mean is how much they must differ."""
    pieces = (30, 9, 10), (150, 9, 10), (300, 9, width), (550, 9, width)
    assert bool(find_data_bars(_with_pieces(*pieces))) == found


def _bordering(picture, distance, below, share):
    """Give one row beside the bar at 300 to 340 the bar's white over a share of the width."""
    picture[339 + distance if below else 300 - distance, : int(640 * share)] = 255
    return picture


@pytest.mark.parametrize("below", [False, True], ids=["above", "below"])
@pytest.mark.parametrize(("distance", "confidence"), [(1, 0.85), (2, 0.85), (3, 0.85), (4, 1)])
def test_three_rows_beside_a_bar_say_how_sure_it_is(distance, confidence, below):
    (bar,) = find_data_bars(_bordering(_with_bar(300, 255, 0).copy(), distance, below, 0.45))
    assert (bar.start, bar.stop) == (300, 340)
    assert bar.confidence == pytest.approx(confidence, abs=0.03)


@pytest.mark.parametrize("below", [False, True], ids=["above", "below"])
@pytest.mark.parametrize(("share", "text", "scale"), [(0.2, True, True), (0.35, True, False), (0.45, True, False)])
def test_only_text_is_believed_beside_specimen_of_the_bars_grey(share, text, scale, below):
    """A tenth of the three rows beside it is what a bar that holds only a scale may share with the specimen."""
    found = []
    for picture in (_with_bar(300, 255, 0).copy(), _with_pieces(*_THREE, (300, 3, 100))):
        for distance in (1, 2, 3) if share == 0.2 else (2, 3):
            _bordering(picture, distance, below, share if share != 0.2 else 0.08)
        found.append(bool(find_data_bars(picture)))
    assert found == [text, scale]


@pytest.mark.parametrize("below", [False, True], ids=["above", "below"])
@pytest.mark.parametrize(("share", "found"), [(0.45, True), (0.57, False)])
def test_no_bar_where_most_beside_it_is_of_its_grey(share, found, below):
    picture = _with_bar(300, 255, 0).copy()
    for distance in (1, 2, 3, 4, 5):
        _bordering(picture, distance, below, share)
    assert [(bar.start, bar.stop) for bar in find_data_bars(picture)] == [(300, 340)] * found


def test_nan_pixels_do_not_hide_a_bar():
    picture = _with_bar(400, 255, 0).astype(float)
    picture[10:30, 50:80] = np.nan
    picture[5, 5] = np.inf
    assert len(find_data_bars(picture)) == 1


def test_input_is_left_as_it_was():
    picture = _with_bar(400, 255, 0).astype(np.float32)
    picture[3, 3] = np.nan
    before = picture.copy()
    find_data_bars(picture)
    np.testing.assert_array_equal(picture, before)


def _rotated():
    return ndimage.rotate(_specimen(), 7, reshape=True, order=1)


def _edge(noise):
    """Return a specimen that ends in a smooth substrate below a level edge."""
    picture = _specimen().astype(float)
    picture[430:] = 40 + np.random.default_rng(1).normal(0, noise, (50, 640))
    return picture


def _black_border():
    picture = _specimen().copy()
    picture[450:] = 0
    picture[:, 600:] = 0
    return picture


def _electrodes():
    """Return two bus bars with fingers between, in bands as high as a data bar."""
    picture = np.full((480, 640), 30, np.uint8)
    for top in range(0, 480, 60):
        picture[top : top + 50] = 200
        for x in range(0, 640, 20):
            picture[top + 8 : top + 42, x : x + 9] = 30
    return picture


def _pads():
    """Return rows of equal square pads on clean bands."""
    picture = _specimen().copy()
    picture[300:350] = 220
    for x in range(12, 630, 20):
        picture[310:320, x : x + 10] = 20
        picture[330:340, x : x + 10] = 20
    return picture


def _particles_on_black():
    rng = np.random.default_rng(2)
    y, x = np.mgrid[:480, :640]
    picture = np.zeros((480, 640))
    for centre_y, centre_x, radius in rng.uniform((20, 20, 3), (460, 620, 12), (60, 3)):
        picture[(y - centre_y) ** 2 + (x - centre_x) ** 2 < radius**2] = rng.uniform(100, 255)
    return picture


def _flat_band(level):
    picture = _specimen().copy()
    picture[380:420] = level
    return picture


_NEGATIVES = {
    "specimen": _specimen,
    "specimen 16 bit": lambda: _specimen().astype(np.uint16) * 200,
    "constant": lambda: np.full((480, 640), 77, np.uint8),
    "blank": lambda: np.zeros((480, 640), np.uint16),
    "only NaN": lambda: np.full((480, 640), np.nan),
    "empty": lambda: np.zeros((0, 640)),
    "one pixel": lambda: np.ones((1, 1)),
    "one row": lambda: np.arange(640.0)[None],
    "tiny": lambda: _specimen(16, 16),
    "noise": lambda: np.random.default_rng(0).normal(size=(300, 300)),
    "black and white noise": lambda: np.random.default_rng(0).integers(0, 2, (300, 300), dtype=np.uint8),
    "mask": lambda: _specimen() > 110,
    "edge": lambda: _edge(0),
    "noisy edge": lambda: _edge(3),
    "rotated": _rotated,
    "black border": _black_border,
    "flat dark band": lambda: _flat_band(0),
    "flat bright band": lambda: _flat_band(255),
    "horizontal grating": lambda: np.repeat(np.tile([40, 200], 24), 10)[:, None] * np.ones((1, 640)),
    "vertical grating": lambda: np.repeat(np.tile([40, 200], 32), 10)[None] * np.ones((480, 1)),
    "grating in a band": lambda: np.where((np.arange(480) // 40 % 2 == 0)[:, None], _electrodes(), 128),
    "electrodes": _electrodes,
    "pads": _pads,
    "particles on black": _particles_on_black,
    "gradient": lambda: np.linspace(0, 255, 480)[:, None] * np.ones((1, 640)),
}


@pytest.mark.parametrize("name", list(_NEGATIVES))
def test_takes_no_specimen_for_a_bar(name):
    picture = _NEGATIVES[name]()
    assert find_data_bars(picture) == ()
    assert find_data_bars(picture.T) == ()


def test_tiles_of_specimen_beside_a_bar_have_none():
    picture = _with_bar(380, 255, 0)
    for y0, y1 in ((0, 380), (420, 480), (200, 375)):
        assert find_data_bars(picture[y0:y1]) == ()


def test_refuses_colour():
    with pytest.raises(ValueError, match=r"\(y, x\).*\(4, 4, 3\)"):
        find_data_bars(np.zeros((4, 4, 3)))


def test_large_picture_within_a_second():
    picture = np.tile(_with_bar(400, 255, 0), (12, 9))[:6000, :6000]
    picture[:5760] = 90
    begun = time.process_time()
    find_data_bars(picture)
    assert time.process_time() - begun < 2  # half of it for a busy machine


@pytest.mark.parametrize(
    ("bars", "rows"),
    [
        ((), ((0, 100),)),
        ((DataBar(80, 100, 1),), ((0, 80),)),
        ((DataBar(0, 10, 1),), ((10, 100),)),
        ((DataBar(70, 80, 1), DataBar(10, 20, 1)), ((0, 10), (20, 70), (80, 100))),
        ((DataBar(10, 30, 1), DataBar(20, 40, 1)), ((0, 10), (40, 100))),
        ((DataBar(0, 100, 1),), ()),
    ],
)
def test_specimen_rows(bars, rows):
    assert specimen_rows(100, bars) == rows


def _read(path):
    return tifffile.imread(path) if path.suffix == ".tif" else iio.imread(path)


def _labelled():
    with _LABELS.open(newline="") as file:
        return [(row["file"], int(row["start"]), int(row["stop"])) for row in csv.DictReader(file)]


@_needs_data
@pytest.mark.parametrize(("file", "start", "stop"), [row for row in _labelled() if row[0].startswith("vendor")])
def test_vendor_files(file, start, stop):
    found = [(bar.start, bar.stop) for bar in find_data_bars(_read(_DATA / file))]
    assert found == ([(start, stop)] if stop else [])


@_needs_data
def test_recall_on_labelled_pictures():
    missed, false = [], []
    for file, start, stop in _labelled():
        bars = find_data_bars(_read(_DATA / file))
        if not stop and bars:
            false.append(file)
        if stop and not any(_overlap(bar, start, stop) >= 0.8 for bar in bars):
            missed.append(file)
    assert false == []
    assert len(missed) <= 6, missed


@_needs_data
def test_no_bar_in_materials_and_their_tiles():
    files = sorted((_DATA / "materials").rglob("*.jpg"))
    assert files
    rng = np.random.default_rng(0)
    for file in files:
        picture = _read(file)
        assert find_data_bars(picture) == (), file.name
        for size in (64, 128, 224, 400):
            y, x = (int(rng.integers(0, side - size + 1)) for side in picture.shape)
            assert find_data_bars(picture[y : y + size, x : x + size]) == (), (file.name, y, x, size)
