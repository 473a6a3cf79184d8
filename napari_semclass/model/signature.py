"""Who signed a model file: checks the Sigstore bundle that lies beside it, without a network."""

import importlib.util
import logging
from pathlib import Path

from napari_semclass.errors import ModelError, SettingsError, brief

SUFFIX = ".sigstore.json"
"""What `sigstore sign` adds to the name of the file that it signs."""

# A bundle of one signature has some six thousand bytes.
_LARGEST_BYTES = 1_000_000


def bundle_of(path: str | Path) -> Path:
    """Where the signature of a model file is, if it has one."""
    path = Path(path)
    return path.with_name(path.name + SUFFIX)


def check_signature(path: str | Path, signer: str, issuer: str) -> None:
    """Make sure that a file is what `signer` signed; a file that nobody signed is refused, too.

    The trusted keys are those that came with the package sigstore, or that its own commands brought up to date;
    nothing is asked of the network.

    Parameters
    ----------
    path : str or Path
        A file whose bundle lies beside it, see `bundle_of`.
    signer : str
        The e-mail address, or the address of the workflow, that must have signed.
    issuer : str
        The address of the service that must have vouched for the signer, such as https://github.com/login/oauth.

    Raises
    ------
    SettingsError
        When the package sigstore is missing.
    ModelError
        When there is no signature, or it is damaged, of other bytes, or of somebody else.
    """
    if importlib.util.find_spec("sigstore") is None:
        raise SettingsError(
            'signatures are checked by the package sigstore, which is missing; install it: pip install "sigstore>=4".'
        )
    # An extra, and loaded when needed: few models are signed.
    from sigstore.errors import Error
    from sigstore.models import Bundle
    from sigstore.verify import Verifier
    from sigstore.verify.policy import Identity

    content, text = _read(Path(path)), _read(bundle_of(path), _LARGEST_BYTES)
    logging.getLogger("sigstore").setLevel(logging.ERROR)  # it warns that it works offline, which is meant
    try:
        bundle = Bundle.from_json(text)
        Verifier.production(offline=True).verify_artifact(content, bundle, Identity(identity=signer, issuer=issuer))
    except (Error, ValueError, OSError) as error:
        raise ModelError(
            f"{path}: is not vouched for by {signer} ({issuer}): {_printable(brief(error)).rstrip('.')}; do not use it "
            "until whoever gave it to you explains why."
        ) from error


def _printable(text: str) -> str:
    """Names in a certificate are whatever its owner chose."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _read(path: Path, largest: int | None = None) -> bytes:
    try:
        if largest is not None and path.stat().st_size > largest:
            raise ModelError(f"{path}: is larger than {largest:,} bytes; this is not a signature.")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise ModelError(f"{path}: is not there, so who signed the model cannot be told.") from error
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror or error}).") from error
