"""The only place that hashes: canonical JSON, files, and sets of files.

A key must mean the same on every machine and in every version of Python, so only values with one canonical
form are accepted: null, booleans, integers, finite floats, text, and lists, tuples, mappings with text keys
and frozen dataclasses of these. Everything else is refused, never turned into text.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import json
import math
import secrets
import string
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

_CHUNK = 1 << 20
_SECRET_BYTES = 32


def canonical(value: Any, where: str = "value") -> Any:
    """Return `value` as plain JSON data with one canonical form.

    A dataclass field whose metadata has ``{"omit_default": True}`` is left out while it has its
    default: a field added later leaves the keys of what was published before it alone.

    Args:
        value: null, bool, int, finite float, str, list, tuple, mapping or dataclass of these.
        where: path of `value`, for the error.

    Raises:
        TypeError: for anything else; the message names the path.
        ValueError: for a float that is not finite.
    """
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{where}: {value} has no canonical form")
        return value
    if isinstance(value, (list, tuple)):
        return [canonical(item, f"{where}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, Mapping):
        return _canonical_mapping(value, where)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        kept = {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if not _omitted(f, value)}
        return _canonical_mapping(kept, where)
    raise TypeError(f"{where}: a {type(value).__name__} has no canonical form; use plain data or a dataclass")


def _canonical_mapping(value: Mapping[Any, Any], where: str) -> dict[str, Any]:
    for key in value:
        if not isinstance(key, str):
            raise TypeError(f"{where}: the mapping key {key!r} is not text")
    return {key: canonical(value[key], f"{where}.{key}") for key in sorted(value)}


def _omitted(field: dataclasses.Field[Any], value: Any) -> bool:
    if not field.metadata.get("omit_default"):
        return False
    if field.default_factory is not dataclasses.MISSING:
        return bool(getattr(value, field.name) == field.default_factory())
    return bool(getattr(value, field.name) == field.default)


def digest(value: Any) -> str:
    """Return the SHA-256, in hexadecimal, of the canonical JSON of `value`."""
    text = json.dumps(
        canonical(value), ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
    )
    return digest_bytes(text.encode("utf-8"))


def digest_bytes(data: bytes) -> str:
    """Return the SHA-256 of `data` in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def new_secret() -> str:
    """Return a secret for `sealed`, 64 hexadecimal digits."""
    return secrets.token_hex(_SECRET_BYTES)


def is_secret(text: str) -> bool:
    """Return whether a text can be a secret that `new_secret` gave."""
    return len(text) == 2 * _SECRET_BYTES and all(digit in string.hexdigits for digit in text)


def sealed(text: str, secret: str) -> str:
    """Return the HMAC-SHA-256 of `text` in hexadecimal: equal for equal texts, and nothing to whom has no secret."""
    return hmac.new(bytes.fromhex(secret), text.encode("utf-8"), "sha256").hexdigest()


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal."""
    sha = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            sha.update(chunk)
    return sha.hexdigest()


def digest_files(paths: Iterable[Path]) -> str:
    """Return one digest for the bytes of several files in their order; names do not enter."""
    return digest([digest_file(path) for path in paths])


def digest_git_blob(path: Path) -> str:
    """Return git's name of a file's content, in hexadecimal: SHA-1 of a header and the bytes."""
    sha = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            sha.update(chunk)
    return sha.hexdigest()
