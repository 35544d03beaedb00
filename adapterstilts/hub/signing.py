"""Signatures of units, by the package ``model-signing`` (OpenSSF Model Signing) with a key of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from adapterstilts.errors import EnvironmentFault, Fault, StoreError
from adapterstilts.hub.manifest import SIGNATURE_FILE


def sign(folder: Path, private_key: Path) -> None:
    """Write a unit's signature beside its files.

    Args:
        folder: of the finished unit, manifest included.
        private_key: an elliptic-curve key in a PEM file.

    Raises:
        EnvironmentFault: the package is missing, or the key cannot be read.
    """
    signing, _ = _package()
    if not private_key.is_file():
        raise EnvironmentFault(Fault(str(private_key), "there is no such key", "name a PEM file"))
    try:
        signer = signing.Config().set_hashing_config(_hashing(folder))
        signer.use_elliptic_key_signer(private_key=private_key).sign(folder, folder / SIGNATURE_FILE)
    # The package passes on whatever its own libraries raise.
    except Exception as error:
        what = f"cannot sign: {type(error).__name__}"
        raise EnvironmentFault(
            Fault(str(private_key), what, "name an elliptic-curve key without password")
        ) from error


def verify(folder: Path, public_key: Path) -> None:
    """Check that a unit is signed with a key, and has not changed since.

    Raises:
        EnvironmentFault: the package is missing, or the key.
        StoreError: there is no signature, or another one.
    """
    _, verifying = _package()
    signature = folder / SIGNATURE_FILE
    if not signature.is_file() or signature.is_symlink():
        raise StoreError(Fault(str(folder), "is not signed", "ask its author, or do without --public-key"))
    if not public_key.is_file():
        raise EnvironmentFault(Fault(str(public_key), "there is no such key", "name a PEM file"))
    try:
        verifier = verifying.Config().use_elliptic_key_verifier(public_key=public_key)
        verifier.set_hashing_config(_hashing(folder)).verify(folder, signature)
    except Exception as error:
        what = "its signature is not that of this key, or it has changed since"
        raise StoreError(Fault(str(folder), what, "do not use it")) from error


def _hashing(folder: Path) -> Any:
    from model_signing import hashing

    config: Any = hashing.Config()
    return config.set_ignored_paths(paths=[folder / SIGNATURE_FILE], ignore_git_paths=False)


def _package() -> tuple[Any, Any]:
    try:
        from model_signing import signing, verifying
    except ImportError as error:
        remedy = 'pip install "adapterstilts[sign]"'
        raise EnvironmentFault(Fault("model-signing", f"is not installed ({error.name})", remedy)) from error
    return signing, verifying
