"""Units on the Hugging Face Hub, or on another server that speaks its protocol.

Servers differ, answers get lost and bytes get flipped, so nothing here goes by status codes alone: what is there is
compared with what should be there, by digests, before a retry, after a commit, and after every download.
"""

from __future__ import annotations

import functools
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from adapterstilts.errors import AdapterStiltsError, EnvironmentFault, Fault, StoreError, UsageError
from adapterstilts.hub.manifest import (
    MANIFEST_FILE,
    SIGNATURE_FILE,
    Entry,
    Manifest,
    entry_of,
    list_files,
    read_manifest,
    safe_path,
    verified,
)
from adapterstilts.hub.references import is_version, tag_of, version_number
from adapterstilts.hub.retry import Wait, hub_fault, persistently

DEFAULT_ENDPOINT = "https://huggingface.co"
_BRANCH = "main"
# What the hub itself puts into every repository.
_HUBS_OWN = frozenset({".gitattributes"})
_COMMIT = re.compile(r"[0-9a-f]{40}")
_DOWNLOADS = 3
_LARGEST_UNIT = 8 << 30
# What the client raises, requests' errors among them. They are not chained: addresses in them are signed.
_CLIENT_ERRORS = (OSError, RuntimeError, ValueError)

Tree = Mapping[str, "RemoteFile"]
T = TypeVar("T")


@dataclass(frozen=True)
class RemoteFile:
    """A file as a hub's tree lists it.

    Attributes:
        size: in bytes.
        sha256: of a large file, None of a small one.
        git_sha1: of a small file's content; of a large one's pointer.
    """

    size: int
    sha256: str | None
    git_sha1: str

    def holds(self, entry: Entry) -> bool:
        """Whether it is the file of an entry, to the byte."""
        same = self.git_sha1 == entry.git_sha1 if self.sha256 is None else self.sha256 == entry.sha256
        return same and self.size == entry.size


class Remote:
    """One server.

    Args:
        endpoint: its address.
        wait: sleeps between tries.
    """

    def __init__(self, endpoint: str = DEFAULT_ENDPOINT, wait: Wait = time.sleep) -> None:
        from huggingface_hub import HfApi

        self.endpoint = endpoint.rstrip("/")
        self._api: Any = HfApi(endpoint=self.endpoint)
        self._wait = wait

    # ---- looking

    def commit_of(self, repo: str, revision: str | None = None) -> str:
        """Return the commit that a branch, tag or commit means now.

        Raises:
            EnvironmentFault: it cannot be had.
        """
        info = self._ask(repo, lambda: self._api.repo_info(repo, revision=revision or _BRANCH, timeout=30))
        if not info.sha:
            raise EnvironmentFault(Fault(repo, "the hub names no commit", "name a revision"))
        return str(info.sha)

    def tree(self, repo: str, commit: str) -> dict[str, RemoteFile]:
        """Return path -> file of a commit, without what every repository has.

        Raises:
            EnvironmentFault: it cannot be had.
        """

        def ask() -> dict[str, RemoteFile]:
            listed = self._api.list_repo_tree(repo, revision=commit, recursive=True)
            return {
                one.path: RemoteFile(one.size, one.lfs.sha256 if one.lfs else None, one.blob_id)
                for one in listed
                if hasattr(one, "size") and one.path not in _HUBS_OWN
            }

        return self._ask(repo, ask)

    def tags(self, repo: str) -> dict[str, str]:
        """Return tag -> commit."""
        refs = self._ask(repo, lambda: self._api.list_repo_refs(repo))
        return {ref.name: ref.target_commit for ref in refs.tags}

    def latest(self, repo: str) -> tuple[str, str] | None:
        """Return the highest version that is tagged, and its manifest's digest; None for a repository without any.

        Raises:
            EnvironmentFault: the hub stays away.
            StoreError: what is tagged is no unit.
        """
        if not self._ask(repo, lambda: self._api.repo_exists(repo)):
            return None
        tags = {tag.removeprefix("v"): commit for tag, commit in self.tags(repo).items()}
        versions = sorted(filter(is_version, tags), key=version_number)
        if not versions:
            return None
        with tempfile.TemporaryDirectory() as place:
            return versions[-1], self.compare(repo, tags[versions[-1]], Path(place) / "unit").digest

    # ---- pushing

    def push(self, folder: Path, repo: str, version: str, *, private: bool = True) -> str:
        """Publish a unit as one commit, and tag it last; what is there already is not sent again.

        Args:
            folder: of the unit, with its manifest.
            repo: ``namespace/name``; made when missing.
            version: becomes the tag ``v1.2.0``.
            private: whether a repository that is made is private.

        Returns:
            The commit.

        Raises:
            UsageError: it should be private, and the repository that is there, or that the hub has made, is not.
            StoreError: the version is there with other bytes, or somebody else pushed meanwhile.
            EnvironmentFault: the hub refuses, or stays away.
        """
        verified(folder)
        wanted = {path: entry_of(folder / path) for path in list_files(folder)}
        self._ask(repo, lambda: self._api.create_repo(repo, private=private, exist_ok=True))
        if private and not self._ask(repo, lambda: self._api.repo_info(repo, timeout=30)).private:
            what = "others can read what is there, and nothing was sent"
            raise UsageError(Fault(repo, what, "give --public if all may read it, or make it private there"))
        tagged = self.tags(repo).get(tag_of(version))
        if tagged is not None:
            if differing := _differing(self.tree(repo, tagged), wanted):
                raise StoreError(_changed(repo, version, differing))
            return tagged
        commit = self._commit(folder, repo, version, wanted)
        if differing := _differing(self.tree(repo, commit), wanted):
            what = f"after the commit the hub holds something else in {', '.join(differing[:3])}"
            raise StoreError(Fault(repo, what, "push again; nothing was tagged"))
        self._tag(repo, version, commit)
        return commit

    def _commit(self, folder: Path, repo: str, version: str, wanted: Mapping[str, Entry]) -> str:
        parent = self.commit_of(repo)
        there = self.tree(repo, parent)
        if not _differing(there, wanted):
            return parent
        unchanged = {path for path, entry in wanted.items() if path in there and there[path].holds(entry)}

        def send() -> str:
            made = self._api.create_commit(
                repo,
                operations=_operations(
                    folder, sorted(wanted.keys() - unchanged), sorted(there.keys() - wanted.keys())
                ),
                commit_message=f"Version {version}",
                revision=_BRANCH,
                # The client refuses the longer names that other servers give their commits.
                parent_commit=parent if _COMMIT.fullmatch(parent) else None,
            )
            return str(made.oid)

        def look() -> str | None:
            """Return the commit if it was made and only the answer was lost."""
            head = self.commit_of(repo)
            if head == parent:
                return None
            if _differing(self.tree(repo, head), wanted):
                raise StoreError(_overtaken(repo))
            return head

        try:
            with _quiet():
                return persistently(send, self._wait, between=look)
        except AdapterStiltsError:
            raise
        except _CLIENT_ERRORS as error:
            # Whatever it says, the commit may be there: refused the second time, pushed by another, or with an address
            # in its answer that the client cannot read because it belongs to another endpoint than its default.
            if (made := look()) is not None:
                return made
            raise hub_fault(repo, error) from None

    def _tag(self, repo: str, version: str, commit: str) -> None:
        tag = tag_of(version)

        def there() -> bool | None:
            stands = self.tags(repo).get(tag)
            if stands not in (None, commit):
                what = f"the tag {tag} stands at another commit"
                raise StoreError(Fault(repo, what, "push under another version"))
            return None if stands is None else True

        def make() -> bool:
            self._api.create_tag(repo, tag=tag, revision=commit)
            return True

        try:
            persistently(make, self._wait, between=there)
        except AdapterStiltsError:
            raise
        except _CLIENT_ERRORS as error:
            # Servers answer an existing tag with anything from 409 to 500.
            if not there():
                raise hub_fault(f"{repo}, tag {tag}", error) from None
        if not there():
            raise StoreError(
                Fault(repo, f"the hub has made no tag {tag}, and does not say why", "push again")
            )

    # ---- pulling

    def fetch(self, repo: str, commit: str, target: Path) -> Manifest:
        """Download a unit into a folder, every file checked against the tree and the manifest.

        What an earlier try left there, and is sound, is kept.

        Args:
            repo: ``namespace/name``.
            commit: full SHA.
            target: made if it is missing.

        Raises:
            StoreError: it is no unit, or a file is damaged however often it is asked for.
            EnvironmentFault: the hub stays away.
        """
        tree = self.tree(repo, commit)
        manifest = self._manifest(repo, commit, tree, target)
        for path, entry in sorted(manifest.files.items()):
            self._file(repo, commit, path, target, entry.__eq__)
        if SIGNATURE_FILE in tree:
            self._file(repo, commit, SIGNATURE_FILE, target, tree[SIGNATURE_FILE].holds)
        return verified(target)

    def compare(self, repo: str, commit: str, target: Path) -> Manifest:
        """Compare a unit's tree with its manifest; only the manifest is downloaded.

        Raises:
            StoreError: they differ, or it is no unit.
            EnvironmentFault: the hub stays away.
        """
        return self._manifest(repo, commit, self.tree(repo, commit), target)

    def _manifest(self, repo: str, commit: str, tree: Tree, target: Path) -> Manifest:
        if faults := _tree_faults(repo, tree):
            raise StoreError(*faults)
        self._file(repo, commit, MANIFEST_FILE, target, tree[MANIFEST_FILE].holds)
        manifest = read_manifest(target)
        listed = {path: file for path, file in tree.items() if path not in (MANIFEST_FILE, SIGNATURE_FILE)}
        if differing := _differing(listed, manifest.files):
            what = f"its manifest and its tree differ in {', '.join(differing[:3])}"
            raise StoreError(Fault(repo, what, "do not use it; tell whoever published it"))
        return manifest

    def _file(self, repo: str, commit: str, path: str, target: Path, sound: Callable[[Entry], bool]) -> None:
        """Download a file until it is sound, three times at most; the client itself notices no flipped byte."""
        from huggingface_hub import hf_hub_download

        place, scratch = target / path, target.with_name(f"{target.name}.download")
        if place.is_file() and not place.is_symlink() and sound(entry_of(place)):
            return
        for number in range(_DOWNLOADS):
            download = functools.partial(
                hf_hub_download,
                repo,
                path,
                revision=commit,
                endpoint=self.endpoint,
                local_dir=scratch,
                force_download=number > 0,
            )
            with _quiet():
                got = self._ask(f"{repo}: {path}", download)
            if sound(entry_of(Path(got))):
                place.parent.mkdir(parents=True, exist_ok=True)
                Path(got).replace(place)
                return
            # Neither the file nor the client's notes on it may be taken for sound the next time.
            shutil.rmtree(scratch, ignore_errors=True)
        what = f"arrived damaged {_DOWNLOADS} times"
        raise StoreError(
            Fault(f"{repo}: {path}", what, "pull again; if it stays so, tell whoever published it")
        )

    def _ask(self, where: str, call: Callable[[], T]) -> T:
        try:
            return persistently(call, self._wait)
        except _CLIENT_ERRORS as error:
            raise hub_fault(where, error) from None


def _operations(folder: Path, added: list[str], deleted: list[str]) -> list[Any]:
    """Return what a commit does, made anew for each try: the client writes into these objects."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    adds = [CommitOperationAdd(path_in_repo=path, path_or_fileobj=folder / path) for path in added]
    return [*adds, *(CommitOperationDelete(path_in_repo=path) for path in deleted)]


def _differing(tree: Tree, wanted: Mapping[str, Entry]) -> list[str]:
    """Return the paths that are missing, too many, or other bytes."""
    same = {path for path, entry in wanted.items() if path in tree and tree[path].holds(entry)}
    return sorted((tree.keys() | wanted.keys()) - same)


def _tree_faults(repo: str, tree: Tree) -> list[Fault]:
    remedy = "pull what `adapterstilts hub push` published; download others yourself and name their folder"
    if MANIFEST_FILE not in tree:
        return [Fault(repo, f"has no {MANIFEST_FILE}", remedy)]
    faults = [
        Fault(repo, f"{path!r} is outside the rules of names", remedy) for path in tree if not safe_path(path)
    ]
    if sum(file.size for file in tree.values()) > _LARGEST_UNIT:
        faults.append(Fault(repo, "is larger than any unit", remedy))
    return faults


def _changed(repo: str, version: str, differing: list[str]) -> Fault:
    what = f"{tag_of(version)} is there with other bytes in {', '.join(differing[:3])}, and versions never change"
    return Fault(repo, what, "push under another version")


def _overtaken(repo: str) -> Fault:
    what = "somebody else pushed at the same time"
    return Fault(repo, what, "look at what is there, then push again; nothing was tagged")


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the client's own bars off the terminal."""
    from huggingface_hub.utils.tqdm import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    before = are_progress_bars_disabled()
    disable_progress_bars()
    try:
        yield
    finally:
        if not before:
            enable_progress_bars()
