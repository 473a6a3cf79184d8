"""What napari finds of the plugin: dock, menu, sample data."""

import sys

import npe2
import numpy as np
import pytest
from npe2.manifest.utils import import_python_name

from napari_semclass.viewer import mesa


@pytest.fixture(scope="module")
def manifest():
    return npe2.PluginManifest.from_distribution("napari-semclass")


def test_the_manifest_names_only_things_that_exist(manifest):
    for command in manifest.contributions.commands:
        assert callable(import_python_name(command.python_name))


def test_the_dock_is_in_the_layers_menu(manifest):
    assert "napari-semclass.dock" in {item.command for item in manifest.contributions.menus["napari/layers/classify"]}


def test_every_generated_sample_opens(make_napari_viewer, manifest):
    viewer = make_napari_viewer()
    keys = [sample.key for sample in manifest.contributions.sample_data if sample.key not in ("nffa", "mosaic")]
    assert len(keys) == 10
    for key in keys:
        (layer,) = viewer.open_sample("napari-semclass", key)
        assert layer.metadata["synthetic"]
        assert layer.data.dtype == np.uint8
        viewer.layers.clear()


def test_a_download_that_fails_says_so_and_adds_nothing(make_napari_viewer, monkeypatch, tmp_path):
    from napari_semclass.errors import DownloadError
    from napari_semclass.viewer import sample_data

    def offline(confirm):
        raise DownloadError("The server cannot be reached.")

    said = []
    monkeypatch.setattr(sample_data, "nffa_examples", offline)
    monkeypatch.setattr(sample_data, "show_error", said.append)
    assert sample_data.nffa() == []
    assert said == ["The server cannot be reached."]


@pytest.mark.parametrize(("libraries", "hidden"), [("libLLVM-15.so.1", True), ("libc.so.6", False)])
def test_triton_is_hidden_only_beside_mesas_llvm(tmp_path, monkeypatch, libraries, hidden):
    (tmp_path / "maps").write_text(f"7f00-7f01 r-xp 00000000 00:00 0 /usr/lib/{libraries}\n")
    monkeypatch.setattr(mesa, "_LOADED_LIBRARIES", tmp_path / "maps")
    monkeypatch.delitem(sys.modules, "triton", raising=False)
    mesa.keep_triton_out()
    assert ("triton" in sys.modules) is hidden
    sys.modules.pop("triton", None)
