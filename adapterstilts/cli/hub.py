"""``adapterstilts hub``: units out and in, by a registry folder or the Hugging Face Hub."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from adapterstilts.cli.options import (
    json_option,
    offline_option,
    print_json,
    store_option,
    verbose_option,
)
from adapterstilts.cli.table import echo_table
from adapterstilts.errors import Fault, UsageError
from adapterstilts.hub.references import (
    Reference,
    hub_of,
    is_reference,
    next_version,
    parse_reference,
    tag_of,
)
from adapterstilts.hub.registry import ROOT_VARIABLE, Placed
from adapterstilts.hub.shelf import Shelf
from adapterstilts.runner.prepare import Options
from adapterstilts.store.store import Store
from adapterstilts.trust.push import Terms, cleared

if TYPE_CHECKING:
    from adapterstilts.hub.remote import Remote

_PATH = click.Path(path_type=Path)
_FIRST_VERSION = "1.0.0"

_registry_option = click.option(
    "--registry",
    type=_PATH,
    envvar=ROOT_VARIABLE,
    help="Folder of the `local:` registry. [default: registry/ in the store]",
)
_endpoint_option = click.option(
    "--endpoint",
    envvar="HF_ENDPOINT",
    default="https://huggingface.co",
    show_default=True,
    help="Address of the `hf:` hub.",
)
_allow_option = click.option(
    "--allow",
    "allowed",
    multiple=True,
    metavar="REASON:TASK",
    help="Go ahead in spite of a reason against it, as the refusal names it: confidential:TASK, unknown-licence:TASK, "
    "no-derivatives:TASK, other-licence:TASK, unknown-data:STAGE.",
)
_key_option = click.option("--public-key", type=_PATH, help="It has to be signed with this key (PEM).")


@click.group(name="hub")
def command() -> None:
    """Publish what was trained, and take in what others trained."""


@command.command("push")
@click.argument("ref")
@click.option(
    "--to",
    "target",
    required=True,
    metavar="DEST",
    help="local:NS/NAME[@1.0.0] or hf:NS/NAME[@1.0.0]; hub:NS/NAME[@1.0.0] for the default of the two.",
)
@click.option(
    "--run", type=_PATH, help="Folder of the run that scored it. [default: the one below runs/ that did]"
)
@click.option(
    "--licence",
    help="Licence of the unit, an SPDX id such as apache-2.0. [default: what its data leave it, if that has a name]",
)
@_allow_option
@click.option("--sign", "private_key", type=_PATH, help="Sign with this elliptic-curve key (PEM).")
@click.option("--public", is_flag=True, help="A repository that is made on the hub is open to all.")
@click.option("--verify", type=click.Choice(["tree", "full"]), default="tree", show_default=True)
@store_option
@_registry_option
@_endpoint_option
@offline_option
@json_option
@verbose_option
def push(
    ref: str,
    target: str,
    run: Path | None,
    licence: str | None,
    allowed: tuple[str, ...],
    private_key: Path | None,
    public: bool,
    verify: str,
    store: Path | None,
    registry: Path | None,
    endpoint: str,
    offline: bool,
    as_json: bool,
) -> None:
    """Publish an adapter or a fusion with head, card, provenance and manifest: REF is a key, or a unit here."""
    from adapterstilts.hub import signing
    from adapterstilts.hub.exchange import check_folder, verify_remote

    shelf = _shelf(store, registry)
    remote = _remote(endpoint, offline)
    reference = _destination(target)
    _refuse_offline(reference, remote)
    with tempfile.TemporaryDirectory() as place:
        terms = Terms(licence, allowed)
        folder, version = _unit(ref, reference, shelf, remote, Path(place), store, run, terms, offline)
        if private_key is not None:
            signing.sign(folder, private_key)
        own = check_folder(folder).licence["unit"]
        published = Reference(reference.scheme, reference.repo, version)
        if reference.scheme == "local":
            answer = _placed(shelf.registry.publish(folder, reference.repo, version))
        else:
            assert remote is not None
            commit = remote.push(folder, reference.repo, version, private=not public)
            pinned = Reference("hf", reference.repo, commit)
            found = verify_remote(pinned, remote, folder, full=verify == "full")
            tag = Reference("hf", reference.repo, tag_of(version))
            answer = {"reference": str(tag), "commit": commit, "digest": found.digest}
    if as_json:
        print_json({**answer, "version": version, "licence": own})
    else:
        click.echo(f"{published}  sha256:{answer['digest'][:12]}  {own}" + _commit_text(answer))


def _commit_text(answer: Mapping[str, Any]) -> str:
    return f"  commit {answer['commit']}" if "commit" in answer else f"  {answer['folder']}"


def _unit(
    ref: str,
    target: Reference,
    shelf: Shelf,
    remote: Remote | None,
    place: Path,
    store: Path | None,
    run: Path | None,
    terms: Terms,
    offline: bool,
) -> tuple[Path, str]:
    """Return the folder of what is pushed, and its version."""
    if is_reference(ref):
        return _unit_as_it_is(ref, target, shelf, terms)
    from adapterstilts.runner.shipping import build, find_shipment

    shipment = find_shipment(ref, Store(Options(store=store).store_root), run)
    latest = None if target.version else _latest(target, shelf, remote)
    version = target.version or (latest[0] if latest else _FIRST_VERSION)
    manifest = build(shipment, place / version, target.repo, version, terms, offline=offline)
    if latest is not None and manifest.digest != latest[1]:
        # Something has changed since the latest version, which never changes itself.
        version = next_version(latest[0])
        build(shipment, place / version, target.repo, version, terms, offline=offline)
    return place / version, version


def _unit_as_it_is(ref: str, target: Reference, shelf: Shelf, terms: Terms) -> tuple[Path, str]:
    from adapterstilts.hub.provenance import read_provenance

    found = shelf.find(ref)
    said = read_provenance(found.folder)
    if (target.repo, target.version or said.version) != (said.name, said.version):
        what = f"it is {said.name} {said.version}, and its card says so"
        raise UsageError(Fault(ref, what, "push it under its own name, or the artifact anew under another"))
    own = said.licence["unit"]
    if terms.licence not in (None, own):
        what = f"its licence is {own}, and its card says so"
        raise UsageError(Fault(ref, what, "leave --licence out, or push the artifact anew"))
    cleared(ref, said.data_behind, Terms(own, terms.allowed))
    return found.folder, said.version


def _latest(target: Reference, shelf: Shelf, remote: Remote | None) -> tuple[str, str] | None:
    """Return version and digest of the highest version that is there."""
    if target.scheme == "local":
        found = shelf.registry.latest(target.repo)
        return None if found is None else (str(found.reference.version), found.digest)
    assert remote is not None
    return remote.latest(target.repo)


def _destination(text: str) -> Reference:
    scheme, _, rest = text.partition(":")
    hub = hub_of(scheme)
    # A version of a unit is three numbers in both places; on the hub it becomes a tag.
    parsed = parse_reference(text if hub is None else f"local:{rest}")
    if hub is None or (parsed.version or "").startswith("sha256:"):
        raise UsageError(
            Fault(text, "is no place to push to", "write local:NS/NAME@1.0.0 or hf:NS/NAME@1.0.0")
        )
    return Reference(hub, parsed.repo, parsed.version)


@command.command("pull")
@click.argument("ref")
@click.option("--unpinned", is_flag=True, help="Take what a branch or a tag means now, and note it.")
@_key_option
@store_option
@_registry_option
@_endpoint_option
@offline_option
@json_option
@verbose_option
def pull(
    ref: str,
    unpinned: bool,
    public_key: Path | None,
    store: Path | None,
    registry: Path | None,
    endpoint: str,
    offline: bool,
    as_json: bool,
) -> None:
    """Bring a unit onto this machine, every byte of it checked."""
    from adapterstilts.hub.exchange import pull as bring

    shelf = _shelf(store, registry)
    placed = bring(
        parse_reference(ref), shelf, _remote(endpoint, offline), unpinned=unpinned, public_key=public_key
    )
    if as_json:
        print_json(_placed(placed))
    else:
        click.echo(f"{ref} is sha256:{placed.digest}\n{placed.folder}")


@command.command("ls")
@store_option
@_registry_option
@json_option
def list_units(store: Path | None, registry: Path | None, as_json: bool) -> None:
    """List the units of the registry, and those that were pulled."""
    from adapterstilts.hub.provenance import read_provenance

    shelf = _shelf(store, registry)
    names: dict[str, list[str]] = {}
    for text, facts in shelf.taken().items():
        names.setdefault(str(facts["manifest"]), []).append(text)
    found = [*shelf.registry.all(), *shelf.pulled()]
    if as_json:
        print_json([{**_placed(one), "taken_as": names.get(one.digest, [])} for one in found])
        return
    rows = []
    for one in found:
        said = read_provenance(one.folder)
        shown = str(one.reference) if one.reference.repo else ", ".join(names.get(one.digest, ["pulled"]))
        head = said.unit.head.kind if said.unit.head else "no head"
        rows.append((shown, one.digest[:12], head, ", ".join(said.unit.adapters.values())))
    echo_table(("REFERENCE", "SHA256", "HEAD", "ADAPTERS"), rows)


@command.command("verify")
@click.argument("ref")
@click.option("--full", is_flag=True, help="Of the hub: download everything and check it.")
@_key_option
@store_option
@_registry_option
@_endpoint_option
@offline_option
@json_option
@verbose_option
def verify(
    ref: str,
    full: bool,
    public_key: Path | None,
    store: Path | None,
    registry: Path | None,
    endpoint: str,
    offline: bool,
    as_json: bool,
) -> None:
    """Check a unit here in every way; of one on the hub, that its tree is what its manifest says."""
    from adapterstilts.hub.exchange import check_folder, verify_remote

    reference = parse_reference(ref)
    remote = _remote(endpoint, offline)
    if reference.scheme == "hf" and remote is not None:
        digest = verify_remote(reference, remote, None, full=full, public_key=public_key).digest
        where = remote.endpoint
    else:
        found = _shelf(store, registry).find(ref)
        check_folder(found.folder, public_key)
        digest, where = found.digest, str(found.folder)
    if as_json:
        print_json({"reference": ref, "digest": digest, "where": where})
    else:
        click.echo(f"{ref}: as its manifest says, sha256:{digest}\n{where}")


@command.command("peft")
@click.argument("ref")
@click.argument("folder", type=_PATH)
@store_option
@_registry_option
@verbose_option
def export_peft(ref: str, folder: Path, store: Path | None, registry: Path | None) -> None:
    """Write the LoRA adapter of a unit in the layout of PEFT."""
    from adapterstilts.hub.provenance import read_provenance
    from adapterstilts.model.peft import export_peft as export

    found = _shelf(store, registry).find(ref)
    said = read_provenance(found.folder)
    if not said.unit.single:
        raise UsageError(Fault(ref, "is a composition of several adapters", "PEFT takes single ones"))
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(Fault(str(folder), "is not empty", "name another folder"))
    export(found.folder, folder, said.backbone.model, said.backbone.revision)
    click.echo(str(folder))


@command.group("bundle")
def bundle() -> None:
    """Carry units, backbones, encoded data and wheels to a site without a network."""


@bundle.command("export")
@click.argument("file", type=_PATH)
@click.argument("refs", nargs=-1, required=True, metavar="REF...")
@click.option("--backbone", "backbones", type=_PATH, multiple=True, help="Folder of a local backbone.")
@click.option("--encoded", is_flag=True, help="Encoded data of the store's cache go along.")
@click.option("--wheels", type=_PATH, help="Folder of wheels that go along.")
@_allow_option
@store_option
@_registry_option
@json_option
@verbose_option
def export_bundle(
    file: Path,
    refs: tuple[str, ...],
    backbones: tuple[Path, ...],
    encoded: bool,
    wheels: Path | None,
    allowed: tuple[str, ...],
    store: Path | None,
    registry: Path | None,
    as_json: bool,
) -> None:
    """Write FILE, a tar with the units and the backbones that they stand on; it leaves the site as a push does."""
    from adapterstilts.hub.bundle import export_bundle as export

    opened = Store(Options(store=store).store_root)
    digest = export(
        file,
        refs,
        _shelf(store, registry),
        opened,
        backbones=backbones,
        encoded=encoded,
        wheels=wheels,
        allowed=allowed,
    )
    if as_json:
        print_json({"file": str(file), "digest": digest})
    else:
        click.echo(f"{file}  sha256:{digest}")


@bundle.command("import")
@click.argument("file", type=_PATH)
@store_option
@_registry_option
@json_option
@verbose_option
def import_bundle(file: Path, store: Path | None, registry: Path | None, as_json: bool) -> None:
    """Take in FILE; all of it is checked first."""
    from adapterstilts.hub.bundle import import_bundle as bring

    opened = Store(Options(store=store).store_root)
    brought = bring(file, _shelf(store, registry), opened)
    if as_json:
        units = [{**_placed(placed), "references": list(names)} for placed, names in brought.units]
        wheels = None if brought.wheels is None else str(brought.wheels)
        print_json(
            {"units": units, "backbones": brought.backbones, "encoded": brought.encoded, "wheels": wheels}
        )
        return
    for placed, names in brought.units:
        click.echo(f"{', '.join(names)}  sha256:{placed.digest[:12]}")
    click.echo(f"{len(brought.backbones)} backbones, {brought.encoded} encoded splits")
    if brought.wheels is not None:
        click.echo(f"pip install --no-index --find-links {brought.wheels} adapterstilts")


def _shelf(store: Path | None, registry: Path | None) -> Shelf:
    return Shelf(Options(store=store).store_root, registry)


def _remote(endpoint: str, offline: bool) -> Remote | None:
    """Return the hub; None where no connection may be opened."""
    if offline:
        return None
    from adapterstilts.hub.remote import Remote

    return Remote(endpoint)


def _refuse_offline(reference: Reference, remote: Remote | None) -> None:
    if reference.scheme == "hf" and remote is None:
        raise UsageError(Fault(str(reference), "--offline opens no connection", "leave --offline out"))


def _placed(placed: Placed) -> dict[str, Any]:
    return {"reference": str(placed.reference), "digest": placed.digest, "folder": str(placed.folder)}
