"""What a file is does not depend on its name, and is known quickly even of very large ones."""

import pytest

from napari_semclass.annotate import content
from napari_semclass.annotate.content import content_of


def test_equal_files_are_equal_and_any_change_is_seen(tmp_path):
    for name, text in (("a", b"one"), ("b", b"one"), ("c", b"two")):
        (tmp_path / name).write_bytes(text)
    a, b, c = (content_of(tmp_path / name) for name in "abc")
    assert a.sha256 == b.sha256 != c.sha256
    assert a.size == 3


@pytest.mark.parametrize("at", [0, 99_999])
def test_large_files_are_sampled_to_their_ends(tmp_path, monkeypatch, at):
    monkeypatch.setattr(content, "_WHOLE_BYTES", 1000)
    monkeypatch.setattr(content, "_SAMPLE_BYTES", 100)
    data = bytearray(100_000)
    (tmp_path / "a").write_bytes(data)
    before = content_of(tmp_path / "a").sha256
    data[at] = 1
    (tmp_path / "a").write_bytes(data)
    assert content_of(tmp_path / "a").sha256 != before


def test_a_folder_is_what_its_files_are_called_and_how_large_they_are(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder / "c").mkdir(parents=True)
        (tmp_path / folder / "c" / "0").write_bytes(b"chunk")
    assert content_of(tmp_path / "a") == content_of(tmp_path / "b")
    (tmp_path / "b" / "c" / "1").write_bytes(b"chunk")
    assert content_of(tmp_path / "a") != content_of(tmp_path / "b")
