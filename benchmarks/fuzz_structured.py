"""For `fuzz.py`: whole projects and instruments' metadata, damaged where it means something.

Random bytes seldom get past a parser of JSON, of an archive or of a TIFF; here the fuzzer's bytes choose what is
changed behind it: a value in project.json, an array, the content of a tag, a line of a sidecar.
"""

import io
import json
import tempfile
import traceback
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import atheris
import numpy as np

from napari_semclass.annotate import (
    Categories,
    ImageEntry,
    MarkLayer,
    Project,
    ResultEntry,
    read_project,
    write_project,
)
from napari_semclass.classify.grid import tile_grid
from napari_semclass.classify.prediction import Prediction
from napari_semclass.micrograph.metadata import Metadata, picture_metadata, tiff_metadata, vendor_metadata
from napari_semclass.micrograph.metadata.sidecars import parse_sidecar
from napari_semclass.model.card import Category

SHAPE = (24, 20)
_PICTURE = np.random.default_rng(0).integers(0, 255, SHAPE, dtype=np.uint8)
_ODD: tuple[Any, ...] = (
    *(None, True, -1, 0, 1, 3, 2**31, 2**63, 10**30, 0.5, 1e308, float("nan"), float("inf")),
    *("", "a", "../a", "\0", "i4,("),
    *([], {}, [[]]),
)
_DTYPES = ("u1", "i8", "f4", "f8", "?", "c8", "S3", "U2", "M8[s]", "u4,f8")


def a_project(folder: Path) -> Path:
    """A project with all that one may hold: painted areas, points, boxes, a result."""
    categories = Categories().add().add()
    first, second = (one.number for one in categories.items)
    painted = np.zeros(SHAPE, np.uint8)
    painted[:9, :9], painted[12:, 12:] = first, second
    boxes = tuple(np.array([[0, 0], [0, 9], [9, 9], [9, 0]], float) + n for n in range(2))
    image = ImageEntry("a", "a", str(folder / "a.png"), SHAPE, "uint8")
    layers = (
        MarkLayer("a", "labels", "p", painted),
        MarkLayer("a", "points", "d", np.full((2, 2), 4.0), (first, second)),
        MarkLayer("a", "shapes", "b", boxes, (first, second), ("rectangle", "polygon")),
    )
    grid = tile_grid(SHAPE, tile=8, stride=8)
    shares = np.full((len(grid), 2), 0.5, np.float32)
    answered = Prediction(shares, grid, (Category("a", "#d55e00"), Category("b", "#0072b2")), "a", None, None)
    results = (ResultEntry("a", "tiny", "0" * 64, (answered,)),)
    there = Project(categories=categories, images=(image,), layers=layers, results=results)
    write_project(there, folder / "p.semclass")
    return folder / "p.semclass"


class Edited:
    """A whole project, of which what the fuzzer chooses is changed, read and saved elsewhere."""

    def __init__(self) -> None:
        self._folder = a_project(Path(tempfile.mkdtemp()))
        self._files = {path: path.read_bytes() for path in sorted(self._folder.rglob("*")) if path.is_file()}
        self._arrays = [path for path in self._files if path.suffix == ".npz"]
        self._main = self._folder / "project.json"

    def __call__(self, path: Path) -> None:
        """Read the project with the changes that the input at `path` stands for."""
        for one, content in self._files.items():
            one.write_bytes(content)
        data = atheris.FuzzedDataProvider(path.read_bytes())
        for _ in range(data.ConsumeIntInRange(1, 4)):
            (self._edit_text if data.ConsumeBool() else self._edit_array)(data)
        read = read_project(self._folder)
        with tempfile.TemporaryDirectory() as scratch:
            write_project(read, Path(scratch) / "p.semclass")

    def _edit_text(self, data: Any) -> None:
        whole = json.loads(self._main.read_bytes())
        if not isinstance(whole, dict):
            return
        parent, key = _drawn(whole, data)
        parent[key] = _value(parent[key], data)
        self._main.write_text(json.dumps(whole))

    def _edit_array(self, data: Any) -> None:
        file = self._arrays[data.ConsumeIntInRange(0, len(self._arrays) - 1)]
        if data.ConsumeIntInRange(0, 9) == 0:
            content = bytearray(self._files[file])
            at = data.ConsumeIntInRange(0, len(content) - 1)
            content[at : at + 4] = data.ConsumeBytes(4)
            file.write_bytes(content)
            return
        with np.load(io.BytesIO(self._files[file]), allow_pickle=False) as archive:
            arrays = dict(archive)
        names = sorted(arrays)
        name = names[data.ConsumeIntInRange(0, len(names) - 1)]
        if name == "said" and data.ConsumeBool():
            said = json.loads(arrays["said"].tobytes())
            parent, key = _drawn(said, data)
            parent[key] = _value(parent[key], data)
            arrays["said"] = np.frombuffer(json.dumps(said).encode(), np.uint8)
        else:
            shape = [data.ConsumeIntInRange(0, 5) for _ in range(data.ConsumeIntInRange(0, 4))]
            dtype = np.dtype(_DTYPES[data.ConsumeIntInRange(0, len(_DTYPES) - 1)])
            content = data.ConsumeBytes(int(np.prod(shape)) * dtype.itemsize)
            full = content.ljust(int(np.prod(shape)) * dtype.itemsize, b"\xff")
            arrays[name] = np.frombuffer(full, dtype).reshape(shape)
        with file.open("wb") as written:
            np.savez(written, **arrays)


@cache
def edited() -> Edited:
    """One for all inputs."""
    return Edited()


def _drawn(whole: Any, data: Any) -> tuple[Any, Any]:
    """A place in nested lists and dictionaries: the one it is in, and its index or key there."""
    outermost = [whole]
    parent: Any = outermost
    key: Any = 0
    while True:
        value = parent[key]
        keys = sorted(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
        if not keys or (parent is not outermost and data.ConsumeIntInRange(0, 5) == 0):
            return parent, key
        parent, key = value, keys[data.ConsumeIntInRange(0, len(keys) - 1)]


def _value(old: Any, data: Any) -> Any:
    kind = data.ConsumeIntInRange(0, 5)
    if kind == 0:
        return data.ConsumeInt(8)
    if kind == 1:
        return data.ConsumeRegularFloat()
    if kind == 2:
        return data.ConsumeUnicode(20)
    if kind == 3 and isinstance(old, list):
        return [*old, *old]
    if kind == 4 and isinstance(old, list):
        return old[1:]
    return _ODD[data.ConsumeIntInRange(0, len(_ODD) - 1)]


# -- instruments -----------------------------------------------------------------------------------------------------

_TAGS = (34118, 34680, 34682, 50431, 270, 282, 283, 296)
_ZEISS = "\n\nAP_IMAGE_PIXEL_SIZE\nImage Pixel Size = 7.30 nm\nAP_WD\nWD = 5.1 mm\nDP_X\nX = On\n"
_FEI = (
    "[User]\nUser=x\n[System]\nType=SEM\n[Beam]\nHV=5000\nScan=EScan\n[EScan]\nPixelWidth=1e-9\nPixelHeight=1e-9\n"
    "HorFieldsize=2e-8\n[Image]\nResolutionX=20\nResolutionY=20\n[PrivateFei]\nDatabarHeight=4\n"
)
_TESCAN = "xx\nPixelSizeX=1e-9\nPixelSizeY=1e-9\nImageStripSize=4\nHV=5000\nDevice=VEGA\n"
_OME = (
    '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image><Pixels DimensionOrder="XYZCT" '
    'ID="Pixels:0" SizeC="1" SizeT="1" SizeX="20" SizeY="24" SizeZ="1" Type="uint8" PhysicalSizeX="2" '
    'PhysicalSizeY="2" PhysicalSizeXUnit="nm"><TiffData/></Pixels></Image></OME>'
)
_IMAGEJ = "ImageJ=1.11a\nunit=nm\nspacing=2.0\n"
_JEOL = (
    "$CM_FORMAT J\n$CM_FULL_SIZE 20 20\n$CM_MAG 10000\n$$SM_MICRON_BAR 74\n$$SM_MICRON_MARKER 1um\n"
    "$CM_ACCEL_VOLT 5\n$$SM_WD 8.1\n"
)
_HITACHI = (
    "[SemImageFile]\nInstructName=S\nPixelSize=7.3\nDataSize=20x20\nMagnification=9\n"
    "AcceleratingVoltage=5000 Volt\nWorkingDistance=8000 um\n"
)


def tags(_: Path) -> list[bytes]:
    """Which tag, and what is in it."""
    held = ((0, _ZEISS), (1, _FEI), (2, _FEI), (3, _TESCAN), (4, _OME), (4, _IMAGEJ), (5, "\1\0\0\0\2\0\0\0"))
    return [bytes([number]) + text.replace("\n", "\r\n").encode() for number, text in held]


def read_tags(path: Path) -> None:
    """What a TIFF with this tag says; of what tifffile raises on it nothing is asked here."""
    import tifffile

    content = path.read_bytes()
    code = _TAGS[content[0] % len(_TAGS)] if content else _TAGS[0]
    value = content[1:] or b"\0"
    kind, count = {282: (5, 1), 283: (5, 1), 296: (3, 1)}.get(code, (2, len(value)))
    extra = (code, kind, count, value.ljust(8, b"\0")[:8] if kind == 5 else value.ljust(2, b"\0")[:2], True)
    if kind == 2:
        extra = (code, kind, count, value, True)
    file = io.BytesIO()
    try:
        tifffile.imwrite(file, _PICTURE, extratags=[extra], metadata=None)
        file.seek(0)
        tiff = tifffile.TiffFile(file)
        page = tiff.series[0].keyframe
        for tag in page.tags:
            str(tag.value)
    except Exception:
        return
    with tiff:
        believable(_ours(lambda: tiff_metadata(tiff, page, path)))
        believable(_ours(lambda: vendor_metadata(page)))


def _ours(read: Callable[[], Metadata | None]) -> Metadata | None:
    """What it gives, or nothing where another library fails in it, which readers of files are guarded against."""
    try:
        return read()
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1].filename
        if "napari_semclass" in where:
            raise
        return None


def sidecars(_: Path) -> list[bytes]:
    """Of JEOL and Hitachi, plain and in UTF-16."""
    return [text.encode(encoding) for text in (_JEOL, _HITACHI) for encoding in ("utf-8", "utf-16")]


def read_sidecar(path: Path) -> None:
    """What the text says beside a picture, and by itself."""
    from PIL import Image

    content = path.read_bytes()
    for ending in (".txt", ".hdr"):
        believable(parse_sidecar(content, SHAPE, ending))
    path.with_name("beside.txt").write_bytes(content)
    believable(picture_metadata(Image.fromarray(_PICTURE), path.with_name("beside.png")))


def believable(found: Metadata | None) -> None:
    """Raise unless what was found can be used and written."""
    if found is None:
        return
    sound = (
        found.pixel_size is None or all(1e-12 <= side <= 1e-2 for side in found.pixel_size),
        found.data_bar is None or 0 < found.data_bar[0] < found.data_bar[1] <= SHAPE[0],
        all(len(warning) < 500 and "\n" not in warning for warning in found.warnings),
    )
    if not all(sound):
        raise RuntimeError(f"not believable: {found}")
    json.dumps(found.summary(), allow_nan=False)
