"""Example pictures out of an archive: a few are unpacked, and never outside their folder."""

import hashlib
import io
import tarfile

import numpy as np
import pytest
from PIL import Image

from napari_semclass.errors import DownloadError
from napari_semclass.samples import nffa_examples


def never(download):
    raise AssertionError("asked although the archive is there")


@pytest.fixture
def prepare(tmp_path):
    """Return a function that puts an archive into the cache folder, with its hash in a registry."""
    buffer = io.BytesIO()
    Image.fromarray(np.full((8, 9), 77, np.uint8)).save(buffer, "PNG")
    png = buffer.getvalue()

    def pack(*names, content=None):
        folder = tmp_path / "cache"
        folder.mkdir()
        archive = folder / "nffa-fibres.tar"
        with tarfile.open(archive, "w") as tar:
            for name in names:
                member = tarfile.TarInfo(name)
                member.size = len(png)
                tar.addfile(member, io.BytesIO(png))
        if content is not None:
            archive.write_bytes(content)
        registry = tmp_path / "registry.toml"
        registry.write_text(
            '[[download]]\nname = "nffa-fibres.tar"\nurl = "https://example.org/Fibres.tar"\nlicence = "CC BY 4.0"\n'
            f'credit = "Aversa et al."\nsha256 = "{hashlib.sha256(archive.read_bytes()).hexdigest()}"\n'
        )
        return {"folder": folder, "registry": registry}

    return pack


def test_the_first_pictures_are_unpacked_and_named(prepare):
    place = prepare("Fibres/readme.txt", "Fibres/L9_a.png", "Fibres/L9_b.png", "Fibres/L9_c.png")
    examples = nffa_examples(never, count=2, **place)
    assert [name for name, _ in examples] == ["NFFA L9_a", "NFFA L9_b"]
    assert all(np.asarray(Image.open(path)).shape == (8, 9) for _, path in examples)
    assert nffa_examples(never, count=2, **place) == examples


@pytest.mark.parametrize("name", ["../evil.png", "Fibres/../../evil.png", "..\\..\\evil.png", "/evil.png"])
def test_no_picture_leaves_its_folder(prepare, tmp_path, name):
    place = prepare("Fibres/L9_a.png", name)
    paths = [path for _, path in nffa_examples(never, **place)]
    assert [path.name for path in paths] == ["L9_a.png", "evil.png"]
    assert sorted(tmp_path.rglob("*.png")) == sorted(paths)
    assert len({path.parent for path in paths}) == 1


@pytest.mark.parametrize("content", [b"not an archive", b""])
def test_a_damaged_archive_says_so(prepare, content):
    with pytest.raises(DownloadError, match=r"damaged|no pictures"):
        nffa_examples(never, **prepare(content=content))


def test_an_archive_without_pictures_says_so(prepare):
    with pytest.raises(DownloadError, match="holds no pictures"):
        nffa_examples(never, **prepare("Fibres/readme.txt"))
