"""Downloads: what is complete and genuine is kept, everything else leaves nothing behind."""

import hashlib
import json
import socket

import pytest

from napari_semclass.downloads import fetch, registered
from napari_semclass.errors import DownloadError

BODY = b"forty two micrographs " * 5000
SHA256 = hashlib.sha256(BODY).hexdigest()


def yes(download):
    return True


def no(download):
    return False


def never(download):
    raise AssertionError("asked although the hash is known")


@pytest.fixture
def registry(tmp_path, server):
    """Return a function that writes a registry with one entry, and serve that entry."""
    server.files["/data.tar"] = BODY

    def write(**changes):
        entry = {
            "name": "data.tar",
            "url": f"{server.address}/data.tar",
            "licence": "CC BY 4.0",
            "credit": "Somebody",
            "sha256": "",
        } | changes
        path = tmp_path / "registry.toml"
        path.write_text("[[download]]\n" + "\n".join(f"{key} = {json.dumps(value)}" for key, value in entry.items()))
        return path

    return write


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache"


def left_over(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_a_known_file_is_fetched_once_and_not_asked_for(registry, folder, server):
    known = registry(sha256=SHA256)
    path = fetch("data.tar", confirm=never, folder=folder, registry=known)
    assert path.read_bytes() == BODY
    assert fetch("data.tar", confirm=never, folder=folder, registry=known) == path
    assert server.requests == 1
    assert left_over(folder) == ["data.tar"]


def test_a_wrong_registered_hash_keeps_nothing(registry, folder):
    with pytest.raises(DownloadError, match=r"data\.tar .* does not match its known SHA-256"):
        fetch("data.tar", confirm=never, folder=folder, registry=registry(sha256="0" * 64))
    assert left_over(folder) == []


def test_the_first_hash_is_pinned_after_asking_and_then_enforced(registry, folder, server):
    asked = []
    unknown = registry(size_bytes=110_000)
    path = fetch("data.tar", confirm=lambda d: asked.append(d) or True, folder=folder, registry=unknown)
    assert [(d.licence, d.size_bytes, d.checked) for d in asked] == [("CC BY 4.0", 110_000, False)]

    path.unlink()
    assert fetch("data.tar", confirm=never, folder=folder, registry=unknown).read_bytes() == BODY

    path.unlink()
    server.files["/data.tar"] = BODY + b"tampered"
    with pytest.raises(DownloadError, match="does not match"):
        fetch("data.tar", confirm=never, folder=folder, registry=unknown)
    assert left_over(folder) == ["pins.json"]


def test_a_file_spoilt_on_disk_is_replaced(registry, folder):
    unknown = registry()
    path = fetch("data.tar", confirm=yes, folder=folder, registry=unknown)
    path.write_bytes(b"half of it")
    assert fetch("data.tar", confirm=never, folder=folder, registry=unknown).read_bytes() == BODY


def test_a_file_without_a_known_hash_is_not_taken_from_disk(registry, folder):
    folder.mkdir()
    (folder / "data.tar").write_bytes(b"put here by somebody else")
    assert fetch("data.tar", confirm=yes, folder=folder, registry=registry()).read_bytes() == BODY


def test_no_means_no(registry, folder, server):
    with pytest.raises(DownloadError, match="you did not agree"):
        fetch("data.tar", confirm=no, folder=folder, registry=registry())
    assert server.requests == 0
    assert left_over(folder) == []


def test_an_unreachable_server_is_one_sentence(registry, folder):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/data.tar"
    with pytest.raises(DownloadError, match="cannot be reached or broke off; check the network") as caught:
        fetch("data.tar", confirm=yes, folder=folder, registry=registry(url=url))
    assert "\n" not in str(caught.value)
    assert left_over(folder) == []


def test_a_missing_file_names_the_address(registry, folder, server):
    with pytest.raises(DownloadError, match=rf"{server.address}/gone\.tar answered 404"):
        fetch("data.tar", confirm=yes, folder=folder, registry=registry(url=f"{server.address}/gone.tar"))
    assert left_over(folder) == []


@pytest.mark.parametrize("sha256", ["", SHA256])
def test_a_download_that_breaks_off_is_neither_kept_nor_pinned(registry, folder, server, sha256):
    server.cut_after = 50_000
    with pytest.raises(DownloadError, match="broke off"):
        fetch("data.tar", confirm=yes, folder=folder, registry=registry(sha256=sha256))
    assert left_over(folder) == []


def test_progress_counts_up_to_the_whole(registry, folder):
    seen = []
    report = lambda done, total: seen.append((done, total))  # noqa: E731
    fetch("data.tar", confirm=yes, folder=folder, registry=registry(), progress=report)
    assert seen[-1] == (len(BODY), len(BODY))
    assert all(done <= total for done, total in seen)


def test_nothing_is_printed(registry, folder, capfd):
    fetch("data.tar", confirm=yes, folder=folder, registry=registry())
    assert capfd.readouterr() == ("", "")


def test_an_unknown_name_lists_the_known_ones(registry):
    with pytest.raises(DownloadError, match=r"'other' *; choose one of data\.tar"):
        fetch("other", confirm=yes, registry=registry())


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "../data.tar"},
        {"name": "..\\data.tar"},
        {"name": "pins.json"},
        {"url": "file:///etc/hostname"},
        {"sha256": "md5:12"},
        {"surprise": "field"},
    ],
)
def test_a_dangerous_or_wrong_entry_is_refused(registry, changes):
    with pytest.raises(DownloadError, match=r"registry\.toml cannot be used"):
        registered(registry(**changes))


def test_unreadable_pins_are_not_forgotten(registry, folder):
    folder.mkdir()
    (folder / "pins.json").write_text("{")
    with pytest.raises(DownloadError, match=r"pins\.json cannot be read"):
        fetch("data.tar", confirm=yes, folder=folder, registry=registry())


def test_the_shipped_registry_gives_terms_and_claims_no_check_without_a_hash():
    downloads = registered()
    assert downloads
    for download in downloads:
        assert download.licence
        assert download.credit
        assert download.url.startswith("https://")
        assert download.sha256 or not download.checked


def test_offline_what_is_there_is_used_and_the_rest_refused_without_asking(registry, folder, server, monkeypatch):
    monkeypatch.setenv("SEMCLASS_OFFLINE", "yes")
    for sha256 in (SHA256, ""):
        with pytest.raises(DownloadError, match=r"not on this computer .* because SEMCLASS_OFFLINE is set"):
            fetch("data.tar", confirm=never, folder=folder, registry=registry(sha256=sha256))
    assert server.requests == 0
    monkeypatch.setenv("SEMCLASS_OFFLINE", "0")
    path = fetch("data.tar", confirm=yes, folder=folder, registry=registry())
    monkeypatch.setenv("SEMCLASS_OFFLINE", "1")
    assert fetch("data.tar", confirm=never, folder=folder, registry=registry()) == path
    assert server.requests == 1


def test_offline_a_file_of_unknown_origin_is_refused_but_not_thrown_away(registry, folder, monkeypatch):
    monkeypatch.setenv("SEMCLASS_OFFLINE", "1")
    folder.mkdir()
    (folder / "data.tar").write_bytes(b"carried here on a stick")
    with pytest.raises(DownloadError, match="SEMCLASS_OFFLINE"):
        fetch("data.tar", confirm=yes, folder=folder, registry=registry())
    assert left_over(folder) == ["data.tar"]
