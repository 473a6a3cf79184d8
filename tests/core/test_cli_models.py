"""`semclass models MODEL`: where a model comes from, and whether it is signed by whom it should be."""

from dataclasses import replace

import pytest

from napari_semclass.cli import main
from napari_semclass.errors import ModelError
from napari_semclass.model import save_model, signature


@pytest.fixture
def model(tiny_model, tmp_path):
    """A model file and its model, with a card that says where it comes from."""
    told = {"provenance": "Marks of 12\nmicrographs", "licence": "CC BY 4.0", "credit": "A lab"}
    path = tmp_path / "shared.safetensors"
    return path, save_model(tiny_model.network, replace(tiny_model.card, **told), path)


def test_a_model_says_where_it_comes_from(model, capsys):
    path, saved = model
    assert main(["models", str(path)]) == 0
    said = capsys.readouterr().out
    for line in (
        f"file: {path}",
        f"hash: {saved.sha256} (",
        "made from: Marks of 12 micrographs",
        "licence: CC BY 4.0",
        "credit: A lab",
        "signature: none",
    ):
        assert f"\n  {line}" in said


def test_the_starter_says_on_which_data_it_was_tested(capsys):
    assert main(["models", "starter"]) == 0
    assert "tested on tiles: data with SHA-256 72f09b4f" in capsys.readouterr().out


def test_what_a_card_does_not_say_is_said_to_be_missing(tiny_model, tmp_path, capsys):
    path = tmp_path / "m.safetensors"
    save_model(tiny_model.network, tiny_model.card, path)
    assert main(["models", str(path)]) == 0
    said = capsys.readouterr().out
    assert [said.count(f"{key}: not stated\n") for key in ("made from", "licence", "credit")] == [1, 1, 1]


def test_a_card_cannot_write_over_the_terminal(tiny_model, tmp_path, capsys):
    path = tmp_path / "m.safetensors"
    sly = "good\x1b[2J\x1b]0;title\x07\r\nmodel \N{RIGHT-TO-LEFT OVERRIDE}dab"
    card = replace(tiny_model.card, title=sly, description=sly, provenance=sly, licence=sly, credit=sly)
    save_model(tiny_model.network, card, path)
    assert main(["models", str(path)]) == 0
    said = capsys.readouterr().out
    assert all(line.isprintable() for line in said.splitlines())
    assert said.count("model �dab") == 5


def test_a_signature_is_checked_only_when_asked_for_and_says_for_whom(model, capsys, monkeypatch):
    path, _ = model
    signature.bundle_of(path).write_text("{}")
    assert main(["models", str(path)]) == 0
    assert "signature: in shared.safetensors.sigstore.json, not checked" in capsys.readouterr().out
    asked = []
    monkeypatch.setattr(signature, "check_signature", lambda *given: asked.append(given))
    assert main(["models", str(path), "--signed-by", "a@b.org", "--issuer", "https://c.org"]) == 0
    assert asked == [(path, "a@b.org", "https://c.org")]
    assert "signature: by a@b.org, for whom https://c.org vouches" in capsys.readouterr().out


def test_a_model_that_is_not_signed_as_it_should_be_is_not_described(model, capsys, monkeypatch):
    def refuse(path, signer, issuer):
        raise ModelError(f"{path}: is not vouched for by {signer}.")

    monkeypatch.setattr(signature, "check_signature", refuse)
    assert main(["models", str(model[0]), "--signed-by", "a@b.org", "--issuer", "https://c.org"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "is not vouched for by a@b.org" in said.err


@pytest.mark.parametrize("given", [["starter", "--signed-by", "a"], ["starter", "--issuer", "a"]])
def test_a_signer_needs_an_issuer_and_the_other_way_round(given, capsys):
    assert main(["models", *given]) == 2
    assert "are given together" in capsys.readouterr().err


def test_a_signer_needs_a_model(capsys):
    assert main(["models", "--signed-by", "a", "--issuer", "b"]) == 2
    assert "with the MODEL to check" in capsys.readouterr().err
