"""Every dtype, photometric, colour type and container is read back pixel by pixel as what it means."""

import struct
import zlib

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from napari_semclass.errors import MicrographError
from napari_semclass.micrograph import open_micrographs, read_header
from napari_semclass.micrograph.formats import tiff

HEIGHT, WIDTH = 37, 50
INTEGERS = ["uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"]
FLOATS = ["float16", "float32", "float64"]
LAYOUTS = {
    "strips": {"rowsperstrip": 8},
    "zlib": {"rowsperstrip": 8, "compression": "zlib"},
    "tiles": {"tile": (16, 16)},
    "lzw tiles": {"tile": (16, 32), "compression": "lzw"},
    "big endian": {"byteorder": ">"},
    "BigTIFF": {"bigtiff": True, "rowsperstrip": 16},
}


def levels(dtype, samples=(), seed=0):
    """Random pixels that use all of the dtype's range."""
    rng = np.random.default_rng(seed)
    shape = (HEIGHT, WIDTH, *samples)
    if np.dtype(dtype).kind == "f":
        return rng.normal(0, 100, shape).astype(dtype)
    if np.dtype(dtype) == bool:
        return rng.random(shape) < 0.5
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True)


def read(path):
    """The pixels (height, width[, samples]) of a file of one plane; its header agrees with it."""
    (micrograph,) = open_micrographs(path)
    header = read_header(path)
    assert header.shape == micrograph.shape
    assert header.planes == (micrograph.metadata,)
    assert header.note in micrograph.note
    return np.asarray(micrograph.pixels[:, :])


def lazily(monkeypatch, is_lazy):
    if is_lazy:
        monkeypatch.setattr(tiff, "_EAGER_BYTES", 0)


@pytest.mark.parametrize("is_lazy", [False, True], ids=["at once", "lazily"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["bool", *INTEGERS, *FLOATS])
def test_tiff_of_each_dtype_and_direction(tmp_path, monkeypatch, dtype, layout, is_lazy):
    stored = levels(dtype)
    if dtype == "bool" and "tile" in LAYOUTS[layout]:
        pytest.skip("tifffile does not write tiles of single bits")
    if dtype == "bool" and "compression" in LAYOUTS[layout]:
        pytest.skip("tifffile does not compress single bits so")
    lazily(monkeypatch, is_lazy)
    path = tmp_path / "a.tif"
    for photometric in ("minisblack", "miniswhite"):
        tifffile.imwrite(path, stored, photometric=photometric, **LAYOUTS[layout])
        reverse = {"u": np.invert, "b": np.invert, "i": np.invert, "f": np.negative}[stored.dtype.kind]
        np.testing.assert_array_equal(read(path), stored if photometric == "minisblack" else reverse(stored))


@pytest.mark.parametrize("is_lazy", [False, True], ids=["at once", "lazily"])
@pytest.mark.parametrize("bits", [1, 2, 4, 6, 10, 12, 14, 20, 24])
def test_tiff_of_packed_bits_and_either_direction(tmp_path, monkeypatch, bits, is_lazy):
    lazily(monkeypatch, is_lazy)
    stored = np.random.default_rng(bits).integers(0, 2**bits, (HEIGHT, WIDTH)).astype(np.uint32)
    for photometric in (0, 1):
        path = write_packed(tmp_path / "a.tif", stored, bits, photometric)
        np.testing.assert_array_equal(read(path), stored if photometric else 2**bits - 1 - stored)


def write_packed(path, stored, bits, photometric):
    """A TIFF of one strip, its samples packed without gaps."""
    rows = ["".join(f"{value:0{bits}b}" for value in row) for row in stored.tolist()]
    rows = [row.ljust(-(-len(row) // 8) * 8, "0") for row in rows]
    data = b"".join(int(row, 2).to_bytes(len(row) // 8, "big") for row in rows)
    height, width = stored.shape
    tags = [(256, width), (257, height), (258, bits), (259, 1), (262, photometric), (273, 8), (277, 1), (278, height)]
    tags.append((279, len(data)))
    ifd = b"".join(struct.pack("<HHII", code, 4, 1, value) for code, value in tags)
    path.write_bytes(
        struct.pack("<2sHI", b"II", 42, 8 + len(data)) + data + struct.pack("<H", len(tags)) + ifd + bytes(4)
    )
    return path


@pytest.mark.parametrize("is_lazy", [False, True], ids=["at once", "lazily"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize(
    ("photometric", "samples", "extra"),
    [("rgb", 3, []), ("rgb", 4, ["unassalpha"]), ("rgb", 4, ["unspecified"]), ("minisblack", 2, ["unassalpha"]),
     ("minisblack", 2, ["assocalpha"]), ("minisblack", 2, ["unspecified"]), ("miniswhite", 2, ["unassalpha"]),
     ("minisblack", 3, ["unspecified", "unassalpha"]), ("separated", 4, []), ("separated", 5, ["unassalpha"])],
)  # fmt: skip
def test_tiff_of_each_colour_and_opacity(tmp_path, monkeypatch, photometric, samples, extra, dtype, planar, is_lazy):
    lazily(monkeypatch, is_lazy)
    stored = levels(dtype, (samples,))
    if dtype == "float32":
        stored = np.abs(stored) / 1000
    written = stored if planar == "contig" else np.moveaxis(stored, -1, 0)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, written, photometric=photometric, extrasamples=extra, planarconfig=planar, rowsperstrip=9)
    (micrograph,) = open_micrographs(path)
    alpha = stored[..., -1:] if extra and extra[-1].endswith("alpha") else stored[..., :0]
    colours = stored[..., :3] if photometric == "rgb" else stored[..., :1]
    if photometric == "miniswhite":
        colours = -colours if dtype == "float32" else ~colours
    if photometric == "separated":
        most = 1 if dtype == "float32" else np.iinfo(dtype).max
        ink = stored.astype(np.float64)
        colours = (most - ink[..., :3]) * (most - ink[..., 3:4]) / most
    expected = np.concatenate([colours, alpha], axis=-1)
    assert micrograph.rgb == (photometric in ("rgb", "separated"))
    assert micrograph.alpha == bool(alpha.shape[-1])
    np.testing.assert_allclose(
        np.asarray(micrograph.pixels[:, :]).reshape(expected.shape), expected, atol=1e-6 if dtype == "float32" else 0.51
    )
    assert ("unspecified meaning" in micrograph.note) == ("unspecified" in extra)


def png(path, stored, kind, bits, before=()):
    """A PNG, byte by byte, with what stands before its pixels as (type, content)."""
    rows = stored.reshape(len(stored), -1)
    if bits == 16:
        lines = [row.astype(">u2").tobytes() for row in rows]
    else:
        texts = ["".join(f"{value:0{bits}b}" for value in row) for row in rows.tolist()]
        texts = [text.ljust(-(-len(text) // 8) * 8, "0") for text in texts]
        lines = [int(text, 2).to_bytes(len(text) // 8, "big") for text in texts]
    head = struct.pack(">IIBBBBB", stored.shape[1], stored.shape[0], bits, kind, 0, 0, 0)
    parts = [
        (b"IHDR", head),
        *before,
        (b"IDAT", zlib.compress(b"".join(b"\0" + line for line in lines))),
        (b"IEND", b""),
    ]
    chunks = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    ]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    return path


GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
SAMPLES = {GREY: (), RGB: (3,), GREY_ALPHA: (2,), RGBA: (4,)}


@pytest.mark.parametrize(
    ("kind", "bits"),
    [(GREY, 1), (GREY, 2), (GREY, 4), *[(kind, bits) for kind in SAMPLES for bits in (8, 16)]],
)
def test_png_of_each_colour_type_and_depth(tmp_path, kind, bits):
    stored = np.random.default_rng(0).integers(0, 2**bits, (HEIGHT, WIDTH, *SAMPLES[kind]))
    path = png(tmp_path / "a.png", stored, kind, bits)
    (micrograph,) = open_micrographs(path)
    assert (micrograph.rgb, micrograph.alpha) == (kind in (RGB, RGBA), kind in (GREY_ALPHA, RGBA))
    found = read(path)
    if bits < 8:  # as many levels as stored, evenly up to white
        found = found * (1 if bits == 1 else (2**bits - 1) / 255)
    np.testing.assert_array_equal(found, stored)


@pytest.mark.parametrize(
    ("kind", "bits"), [(GREY, 1), (GREY, 2), (GREY, 4), (GREY, 8), (GREY, 16), (RGB, 8), (RGB, 16)]
)
def test_png_with_a_transparent_colour(tmp_path, kind, bits):
    stored = np.random.default_rng(0).integers(0, 2**bits, (HEIGHT, WIDTH, *SAMPLES[kind]))
    key = stored[0, 0]
    path = png(tmp_path / "a.png", stored, kind, bits, [(b"tRNS", np.atleast_1d(key).astype(">u2").tobytes())])
    (micrograph,) = open_micrographs(path)
    assert micrograph.alpha
    clear = (stored == key).all(axis=-1) if kind == RGB else stored == key
    np.testing.assert_array_equal(read(path)[..., -1] == 0, clear)


COLOURS = np.random.default_rng(5).integers(0, 256, (256, 3)).astype(np.uint8)
RAMPS = {
    "up": np.arange(256),
    "down": np.arange(255, -1, -1),
    "up to 254": np.arange(256).clip(0, 254),
    "narrow": np.arange(256) // 4 + 40,
    "gamma": np.rint(255 * (np.arange(256) / 255) ** 0.5),
}
PALETTES = {name: np.repeat(ramp.astype(np.uint8)[:, None], 3, axis=1) for name, ramp in RAMPS.items()}
SCALES = {"of 16 bits": 257, "shifted": 256, "of 8 bits": 1}


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("name", [*PALETTES, "colours"])
def test_png_palettes_give_what_they_say(tmp_path, name, bits):
    palette = PALETTES.get(name, COLOURS)[: 2**bits]
    stored = np.random.default_rng(0).integers(0, len(palette), (HEIGHT, WIDTH))
    path = png(tmp_path / "a.png", stored, PALETTE, bits, [(b"PLTE", palette.tobytes())])
    expected = palette[stored] if name == "colours" else palette[stored][..., 0]
    np.testing.assert_array_equal(read(path), expected)
    opacity = np.full(len(palette), 255, np.uint8)
    opacity[1] = 0
    png(path, stored, PALETTE, bits, [(b"PLTE", palette.tobytes()), (b"tRNS", opacity.tobytes())])
    np.testing.assert_array_equal(read(path)[..., -1], opacity[stored])


@pytest.mark.parametrize("is_lazy", [False, True], ids=["at once", "lazily"])
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", [*PALETTES, "colours"])
def test_tiff_palettes_give_what_they_say_in_any_scaling(tmp_path, monkeypatch, name, scale, is_lazy):
    lazily(monkeypatch, is_lazy)
    palette = PALETTES.get(name, COLOURS)
    stored = levels("uint8")
    colours = palette.T.astype(np.uint16) * SCALES[scale]
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="palette", colormap=colours, rowsperstrip=9)
    expected = palette[stored] if name == "colours" else palette[stored][..., 0]
    np.testing.assert_array_equal(read(tmp_path / "a.tif"), expected)


def test_tiff_palettes_of_16_bits_keep_them(tmp_path):
    stored = levels("uint16")
    for colours in (
        np.random.default_rng(1).integers(0, 65536, (3, 65536)).astype(np.uint16),
        np.arange(65535, -1, -1),
    ):
        palette = np.broadcast_to(colours, (3, 65536)).astype(np.uint16)
        tifffile.imwrite(tmp_path / "a.tif", stored, photometric="palette", colormap=palette)
        expected = palette.T[stored] if colours.ndim == 2 else palette[0][stored]
        np.testing.assert_array_equal(read(tmp_path / "a.tif"), expected)


@pytest.mark.parametrize("codec", ["jp2", "j2k"])
@pytest.mark.parametrize(("dtype", "bits"), [("uint8", 8), ("uint16", 12), ("uint16", 16), ("int16", 16), ("int8", 8)])
@pytest.mark.parametrize("samples", [(), (2,), (3,), (4,)])
def test_jpeg_2000_keeps_all_bits(tmp_path, samples, dtype, bits, codec):
    stored = levels(dtype, samples)
    if bits == 12:
        stored >>= 4
    encoded = imagecodecs.jpeg2k_encode(stored, level=0, codecformat=codec, bitspersample=bits, mct=False)
    (tmp_path / f"a.{codec}").write_bytes(encoded)
    np.testing.assert_array_equal(read(tmp_path / f"a.{codec}"), stored)


@pytest.mark.parametrize("samples", [(), (3,)])
def test_jpeg_of_12_bits_keeps_them(tmp_path, samples):
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    stored = np.rint((np.sin(x / 9) * np.cos(y / 6) + 1) * 2047).astype(np.uint16)
    stored = np.stack([stored] * 3, axis=-1) if samples else stored
    (tmp_path / "a.jpg").write_bytes(imagecodecs.jpeg8_encode(stored, level=99, bitspersample=12))
    found = read(tmp_path / "a.jpg")
    assert len(np.unique(found)) > 256
    assert np.abs(found.astype(int) - stored).max() < 24


@pytest.mark.parametrize("most", [1, 100, 255, 1023, 4095, 65535])
@pytest.mark.parametrize(
    ("kind", "samples"), [("P2", ()), ("P3", (3,)), ("P5", ()), ("P6", (3,)), ("P7", (2,)), ("P7", (4,))]
)
def test_the_pnm_family_gives_what_is_stored(tmp_path, kind, samples, most):
    stored = np.random.default_rng(0).integers(0, most, (HEIGHT, WIDTH, *samples), endpoint=True)
    if kind == "P7":
        name = "GRAYSCALE_ALPHA" if samples == (2,) else "RGB_ALPHA"
        lines = f"P7\nWIDTH {WIDTH}\nHEIGHT {HEIGHT}\nDEPTH {samples[0]}\nMAXVAL {most}\nTUPLTYPE {name}\nENDHDR\n"
    else:
        lines = f"{kind}\n# an instrument\n{WIDTH} {HEIGHT}\n{most}\n"
    binary = stored.astype(">u2" if most > 255 else "u1").tobytes()
    text = " ".join(map(str, stored.ravel().tolist())).encode()
    (tmp_path / "a.pnm").write_bytes(lines.encode() + (text if kind in ("P2", "P3") else binary))
    np.testing.assert_array_equal(read(tmp_path / "a.pnm"), stored)
    content = (tmp_path / "a.pnm").read_bytes()
    (tmp_path / "a.pnm").write_bytes(content[: len(content) // 2])
    with pytest.raises(MicrographError, match="cut short"):
        open_micrographs(tmp_path / "a.pnm")


def test_bitmaps_of_the_pnm_family_and_floating_point(tmp_path):
    white = levels("bool")
    rows = np.packbits(~white, axis=1).tobytes()
    (tmp_path / "a.pbm").write_bytes(f"P4 {WIDTH} {HEIGHT}\n".encode() + rows)
    np.testing.assert_array_equal(read(tmp_path / "a.pbm"), white)
    digits = "\n".join("".join(map(str, row)) for row in (~white).astype(int).tolist())
    (tmp_path / "b.pbm").write_bytes(f"P1\n{WIDTH} {HEIGHT}\n{digits}\n".encode())
    np.testing.assert_array_equal(read(tmp_path / "b.pbm"), white)
    stored = levels("float32")
    (tmp_path / "a.pfm").write_bytes(f"Pf\n{WIDTH} {HEIGHT}\n-1.0\n".encode() + stored[::-1].astype("<f4").tobytes())
    np.testing.assert_array_equal(read(tmp_path / "a.pfm"), stored)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
@pytest.mark.parametrize("suffix", ["bmp", "gif", "webp", "png"])
def test_pictures_as_pillow_writes_them(tmp_path, suffix, mode):
    if (suffix, mode) in {
        ("bmp", "RGBA"),
        ("gif", "RGB"),
        ("gif", "RGBA"),
        ("webp", "1"),
        ("webp", "P"),
        ("webp", "L"),
    }:
        pytest.skip("stored in another mode")
    dtype, samples = ("bool", ()) if mode == "1" else ("uint8", {"RGB": (3,), "RGBA": (4,)}.get(mode, ()))
    stored = levels(dtype, samples)
    if mode == "RGBA":
        stored[..., 3] |= 1  # colours of clear pixels may be left out
    picture = Image.fromarray(stored)
    expected = stored
    if mode == "P":
        picture = Image.fromarray(stored, "P")
        picture.putpalette(COLOURS.tobytes())
        expected = COLOURS[stored]
    picture.save(tmp_path / f"a.{suffix}", **({"lossless": True} if suffix == "webp" else {}))
    found = read(tmp_path / f"a.{suffix}")
    if found.dtype != expected.dtype:
        expected = expected * np.uint8(255)
    np.testing.assert_array_equal(found, expected)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_levels_keep_their_number_and_order_in_any_tiff(tmp_path, data):
    """WhiteIsZero reverses the order, whatever the numbers and however they are stored."""
    dtype = data.draw(st.sampled_from([*INTEGERS, *FLOATS]))
    numbers = st.floats(-1e4, 1e4, width=16) if np.dtype(dtype).kind == "f" else None
    stored = data.draw(arrays(dtype, st.tuples(st.integers(2, 20), st.integers(2, 20)), elements=numbers))
    layout = LAYOUTS[data.draw(st.sampled_from(list(LAYOUTS)))]
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="miniswhite", **layout)
    found = read(tmp_path / "a.tif")
    assert found.dtype == stored.dtype
    order = np.unique(stored, return_inverse=True)[1].ravel()
    reverse = np.unique(found, return_inverse=True)[1].ravel()
    np.testing.assert_array_equal(reverse, order.max() - order)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_png_is_read_as_it_was_written(tmp_path, data):
    kind, bits = data.draw(st.sampled_from([(kind, bits) for kind in SAMPLES for bits in (8, 16)]))
    sides = data.draw(st.tuples(st.integers(1, 20), st.integers(1, 20)))
    stored = data.draw(arrays("uint16", (*sides, *SAMPLES[kind]), elements=st.integers(0, 2**bits - 1)))
    found = read(png(tmp_path / "a.png", stored, kind, bits))
    np.testing.assert_array_equal(found, stored)
