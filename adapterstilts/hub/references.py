"""References to units: ``local:ns/name@1.2.0``, ``hf:ns/name@REVISION``, ``sha256:...``. No torch.

``hub:ns/name@1.2.0`` means the default hub: the registry folder, or what ``$ADAPTERSTILTS_HUB`` names.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Literal

from adapterstilts.errors import Fault, UsageError

Hub = Literal["local", "hf"]
Scheme = Literal[Hub, "sha256"]

DEFAULT_VARIABLE = "ADAPTERSTILTS_HUB"

# The rules of the Hugging Face Hub, so that a name is good in both places.
_NAME = re.compile(r"(?!.*(?:--|\.\.))(?!.*\.git$)[A-Za-z0-9_](?:[\w.-]{0,94}[A-Za-z0-9_])?", re.ASCII)
_LONGEST = 96
_VERSION = re.compile(r"(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})")
_REVISION = re.compile(r"[A-Za-z0-9_][\w.-]{0,99}", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_DIGEST = re.compile(r"[0-9a-f]{8,64}")
_WRITE = "write local:NAMESPACE/NAME@1.0.0, hf:NAMESPACE/NAME@REVISION or sha256:DIGEST"


@dataclass(frozen=True)
class Reference:
    """Where a unit is.

    Attributes:
        scheme: ``local``: a registry folder; ``hf``: the Hugging Face Hub; ``sha256``: any with this manifest.
        repo: ``namespace/name``; empty for ``sha256``.
        version: of a registry, or a revision of the hub, or the start of a manifest's digest; None for the latest.
    """

    scheme: Scheme
    repo: str
    version: str | None

    def __str__(self) -> str:
        if self.scheme == "sha256":
            return f"sha256:{self.version}"
        return f"{self.scheme}:{self.repo}" + (f"@{self.version}" if self.version else "")

    @property
    def pinned(self) -> bool:
        """Whether it means the same bytes forever, whoever owns the place."""
        return self.scheme != "hf" or (self.version is not None and bool(_COMMIT.fullmatch(self.version)))


def is_reference(text: str) -> bool:
    """Whether a text is meant as a reference, and not as a path or a key."""
    return text.startswith(("local:", "hf:", "hub:", "sha256:"))


def hub_of(scheme: str) -> Hub | None:
    """Return the hub that a scheme means, ``hub`` being the default one; None for another scheme.

    Raises:
        UsageError: the default is none that there is.
    """
    wanted = (os.environ.get(DEFAULT_VARIABLE) or "local") if scheme == "hub" else scheme
    if wanted == "local":
        return "local"
    if wanted == "hf":
        return "hf"
    if scheme == "hub":
        raise UsageError(Fault(f"${DEFAULT_VARIABLE}", f"{wanted!r} is no hub", "set it to local or hf"))
    return None


def parse_reference(text: str) -> Reference:
    """Return the reference that a text means.

    Raises:
        UsageError: it is none.
    """
    scheme, _, rest = text.partition(":")
    if scheme == "sha256":
        if not _DIGEST.fullmatch(rest):
            raise UsageError(Fault(text, "is no digest of 8 to 64 hexadecimal digits", _WRITE))
        return Reference("sha256", "", rest)
    hub = hub_of(scheme)
    if hub is None:
        raise UsageError(Fault(text, "is no reference", _WRITE))
    repo, at, version = rest.partition("@")
    check_repo(text, repo)
    if at and not (_is_local_version(version) if hub == "local" else _REVISION.fullmatch(version)):
        wanted = "a version such as 1.0.0" if hub == "local" else "a commit, tag or branch"
        raise UsageError(Fault(text, f"{version!r} is not {wanted}", _WRITE))
    if scheme == "hub" and hub == "hf" and is_version(version):
        # Whoever leaves the place to the default means the version, wherever it is.
        version = tag_of(version)
    return Reference(hub, repo, version if at else None)


def _is_local_version(version: str) -> bool:
    digest = version.removeprefix("sha256:")
    return bool(_VERSION.fullmatch(version) or (digest != version and _DIGEST.fullmatch(digest)))


def check_repo(where: str, repo: str) -> None:
    """Check ``namespace/name`` against the rules of names.

    Raises:
        UsageError: it breaks one.
    """
    parts = repo.split("/")
    if len(parts) != 2 or not all(_NAME.fullmatch(part) for part in parts) or len(repo) > _LONGEST:
        remedy = "use two names of letters, digits, -, _ and ., without -- or .., 96 characters together"
        raise UsageError(Fault(where, f"{repo!r} is no namespace/name", remedy))


def is_version(text: str) -> bool:
    """Whether a text is three numbers."""
    return bool(_VERSION.fullmatch(text))


def version_number(text: str) -> tuple[int, int, int]:
    """Return the three numbers of a version, for comparing.

    Raises:
        UsageError: it is no version.
    """
    found = _VERSION.fullmatch(text)
    if found is None:
        raise UsageError(Fault(text, "is no version", "write three numbers: 1.0.0"))
    return int(found[1]), int(found[2]), int(found[3])


def next_version(text: str) -> str:
    """Return the version after one: its last number and one."""
    major, minor, patch = version_number(text)
    return f"{major}.{minor}.{patch + 1}"


def tag_of(version: str) -> str:
    """Return the hub's tag of a version."""
    return f"v{version}"
