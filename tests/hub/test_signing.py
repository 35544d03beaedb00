"""Signatures: whoever has the key can tell that a unit is as it was signed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from adapterstilts.errors import EnvironmentFault, StoreError
from adapterstilts.hub import signing
from adapterstilts.hub.exchange import check_folder
from adapterstilts.hub.manifest import SIGNATURE_FILE, write_manifest

pytest.importorskip("model_signing")


def keys(folder: Path, name: str) -> tuple[Path, Path]:
    """Write a private and a public key."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    private, public = folder / f"{name}.pem", folder / f"{name}.pub"
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    private.write_bytes(key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain))
    kind = serialization.PublicFormat.SubjectPublicKeyInfo
    public.write_bytes(key.public_key().public_bytes(encoding, kind))
    return private, public


def test_a_signed_unit_is_the_signers_and_nobody_elses(unit: Path, tmp_path: Path) -> None:
    private, public = keys(tmp_path, "alice")
    _, other = keys(tmp_path, "mallory")
    signing.sign(unit, private)
    check_folder(unit, public)
    with pytest.raises(StoreError, match="not that of this key"):
        check_folder(unit, other)


def test_a_unit_that_was_changed_and_sealed_again_is_noticed(unit: Path, tmp_path: Path) -> None:
    private, public = keys(tmp_path, "alice")
    signing.sign(unit, private)
    (unit / "README.md").write_text("Changed.", encoding="utf-8")
    write_manifest(unit)
    check_folder(unit)
    with pytest.raises(StoreError, match="has changed since"):
        check_folder(unit, public)


def test_without_a_signature_a_key_is_no_help(unit: Path, tmp_path: Path) -> None:
    private, public = keys(tmp_path, "alice")
    with pytest.raises(StoreError, match="is not signed"):
        check_folder(unit, public)
    signing.sign(unit, private)
    with pytest.raises(EnvironmentFault, match="no such key"):
        signing.verify(unit, tmp_path / "none.pub")
    with pytest.raises(EnvironmentFault, match="no such key"):
        signing.sign(unit, tmp_path / "none.pem")
    (tmp_path / "bad.pem").write_text("no key", encoding="utf-8")
    with pytest.raises(EnvironmentFault, match="cannot sign"):
        signing.sign(unit, tmp_path / "bad.pem")


def test_the_signature_travels_and_is_no_part_of_what_it_signs(unit: Path, tmp_path: Path) -> None:
    private, _ = keys(tmp_path, "alice")
    before = write_manifest(unit).digest
    signing.sign(unit, private)
    assert (unit / SIGNATURE_FILE).is_file()
    assert write_manifest(unit).digest == before


def test_the_missing_package_is_named(unit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "model_signing", None)
    with pytest.raises(EnvironmentFault, match=r"adapterstilts\[sign\]"):
        signing.sign(unit, tmp_path / "alice.pem")
