"""Signatures: who signed is told only where the package sigstore says so; everything else is refused in a sentence."""

import importlib.util
import json
from types import SimpleNamespace

import pytest

from napari_semclass.errors import ModelError, SettingsError
from napari_semclass.model.signature import bundle_of, check_signature

SIGNER, ISSUER = "lab@example.org", "https://accounts.example.org"


@pytest.fixture
def signed(tmp_path):
    """A file with something beside it that has a signature's name."""
    path = tmp_path / "m.safetensors"
    path.write_bytes(b"a model")
    bundle_of(path).write_text("{}")
    return path


@pytest.fixture
def sigstore(monkeypatch):
    """Sigstore with a verifier that accepts b"a model" of one signer and issuer, and keeps no network or keys."""
    pytest.importorskip("sigstore")
    import sigstore.models
    import sigstore.verify
    from sigstore.errors import VerificationError

    def verify_artifact(content, bundle, policy):
        known = (policy._identity, policy._issuer._value) == (SIGNER, ISSUER)
        if not known or content != b"a model" or bundle != "bundle":
            raise VerificationError("not of \x1b[2J eve.\nmore")

    def production(*, offline):
        assert offline
        return SimpleNamespace(verify_artifact=verify_artifact)

    monkeypatch.setattr(sigstore.verify.Verifier, "production", production)
    monkeypatch.setattr(sigstore.models.Bundle, "from_json", lambda text: "bundle")


def test_a_file_of_its_signer_passes(signed, sigstore):
    check_signature(signed, SIGNER, ISSUER)


@pytest.mark.parametrize(
    ("signer", "issuer", "content"),
    [("eve@example.org", ISSUER, b"a model"), (SIGNER, "https://x.org", b"a model"), (SIGNER, ISSUER, b"another")],
    ids=["signer", "issuer", "content"],
)
def test_another_signer_issuer_or_file_is_refused_in_one_printable_sentence(signed, sigstore, signer, issuer, content):
    signed.write_bytes(content)
    with pytest.raises(ModelError, match=r"is not vouched for by .*: not of \?\[2J eve; do not use it") as caught:
        check_signature(signed, signer, issuer)
    assert str(caught.value).isprintable()


# These go to the package itself, with the keys that it brings.
@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "null", '{"mediaType": 3}', "\x00", "[" * 100_000, json.dumps({"verificationMaterial": None})],
    ids=["empty", "object", "list", "null", "type", "nul", "deep", "part"],
)
def test_a_damaged_signature_is_a_sentence(signed, text, tmp_path, monkeypatch):
    pytest.importorskip("sigstore")
    for variable in ("XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path))
    bundle_of(signed).write_text(text)
    with pytest.raises(ModelError, match=r"is not vouched for by lab@example\.org"):
        check_signature(signed, SIGNER, ISSUER)


def test_a_signature_that_is_not_utf8_or_much_too_large_is_refused(signed):
    pytest.importorskip("sigstore")
    bundle_of(signed).write_bytes(b"\xff\xfe")
    with pytest.raises(ModelError, match="is not vouched for"):
        check_signature(signed, SIGNER, ISSUER)
    bundle_of(signed).write_bytes(b" " * 1_000_001)
    with pytest.raises(ModelError, match="larger than 1,000,000 bytes; this is not a signature"):
        check_signature(signed, SIGNER, ISSUER)


def test_a_model_without_a_signature_is_refused(signed):
    pytest.importorskip("sigstore")
    bundle_of(signed).unlink()
    with pytest.raises(ModelError, match=r"m\.safetensors\.sigstore\.json: is not there, so who signed"):
        check_signature(signed, SIGNER, ISSUER)


def test_without_the_package_nothing_is_vouched_for(signed, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match="package sigstore, which is missing; install it"):
        check_signature(signed, SIGNER, ISSUER)
