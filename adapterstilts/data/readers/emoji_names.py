"""Names of emoji in many languages, as the package `emoji` carries them: short parallel phrases.

Files: ``emoji.json`` (status, English name and aliases) and, for a translation, ``emoji_<language>.json``.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapterstilts.data.readers.base import Option, Reader, Record, Tally, read_text
from adapterstilts.data.readers.choose import draw, number, tenth
from adapterstilts.data.readers.objects import parse_json
from adapterstilts.errors import DataError, Fault

_FULLY_QUALIFIED = 2
_SKIN_TONES = frozenset(map(chr, range(0x1F3FB, 0x1F400)))


@dataclass(frozen=True)
class _Emoji:
    character: str
    name: str
    aliases: tuple[str, ...]
    place: str


def _read(paths: Sequence[Path], options: Mapping[str, Any], tally: Tally) -> Iterator[Record]:
    file, emoji = _load(paths, tally)
    if options["pairs"]:
        return _pairs(file, emoji, tally)
    translations = _translations(paths, options["language"]) if options["language"] else {}
    return _names(file, emoji, translations, tally)


def _load(paths: Sequence[Path], tally: Tally) -> tuple[str, list[_Emoji]]:
    """Return the emoji that differ by more than a skin tone, with their English names."""
    path = _named(paths, "emoji.json")
    kept: list[_Emoji] = []
    for place, (character, entry) in enumerate(_json(path).items(), start=1):
        if not _complete(entry):
            what = "should be an object with `en` (a text), `status` and perhaps `alias` (a list of texts)"
            raise DataError(Fault(f"{path}, record {place}", what))
        if entry["status"] != _FULLY_QUALIFIED:
            tally.dropped["emoji not fully qualified"] += 1
        elif _SKIN_TONES & set(character):
            tally.dropped["emoji with a skin tone"] += 1
        else:
            aliases = tuple(_words(alias) for alias in entry.get("alias", ()))
            kept.append(_Emoji(character, _words(entry["en"]), aliases, f"record {place}"))
    return str(path), kept


def _complete(entry: Any) -> bool:
    if not isinstance(entry, dict) or "status" not in entry:
        return False
    texts = entry.get("alias", [])
    return isinstance(texts, list) and all(isinstance(text, str) for text in (entry.get("en"), *texts))


def _named(paths: Sequence[Path], name: str) -> Path:
    for path in paths:
        if path.name == name:
            return path
    raise DataError(
        Fault("format 'emoji_names'", f"no file {name!r} in the source", f"add {name!r} to its paths")
    )


def _json(path: Path) -> dict[str, Any]:
    return _parsed(path, path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=16)
def _parsed(path: Path, _mtime_ns: int) -> dict[str, Any]:
    """Parse a file once a process: every language reads the English names again."""
    document = parse_json(read_text(path), str(path))
    if not isinstance(document, dict) or not document:
        raise DataError(Fault(str(path), "should be an object with entries: emoji -> entry"))
    return document


def _translations(paths: Sequence[Path], language: str) -> dict[str, str]:
    path = _named(paths, f"emoji_{language}.json")
    entries = _json(path)
    if not all(isinstance(text, str) for text in entries.values()):
        raise DataError(Fault(str(path), "should be an object of texts: emoji -> name"))
    return {character: _words(text) for character, text in entries.items()}


def _words(name: str) -> str:
    """Return ``:red_heart:`` as ``red heart``."""
    return " ".join(name.strip(":").replace("_", " ").split())


def _names(file: str, emoji: list[_Emoji], translations: Mapping[str, str], tally: Tally) -> Iterator[Record]:
    for one in emoji:
        if translations and not translations.get(one.character):
            tally.dropped["emoji without a translation"] += 1
            continue
        fields: dict[str, Any] = {"name": one.name, "alias": list(one.aliases), "emoji": one.character}
        fields["id"] = one.character
        if translations:
            fields["translation"] = translations[one.character]
        yield Record(file, one.place, fields)


def _pairs(file: str, emoji: list[_Emoji], tally: Tally) -> Iterator[Record]:
    """Yield a name with an alias of the same emoji (`same`) and one of another (`different`).

    The other emoji is of the same tenth (`choose.tenth` of the emoji), so that portions cut at multiples of
    ten percent, grouped by `emoji`, share no text.
    """
    own = _distinct_aliases(emoji, tally)
    pools: dict[int, list[str]] = defaultdict(list)
    for one in emoji:
        pools[tenth(one.character)].extend(own[one.character])
    for one in emoji:
        aliases = own[one.character]
        if not aliases:
            continue
        alias = aliases[number("alias", one.character) % len(aliases)]
        for other in draw(one.character, pools[tenth(one.character)], 1, aliases):
            for text, label in ((alias, "same"), (other, "different")):
                fields = {"text": one.name, "text_pair": text, "label": label, "emoji": one.character}
                fields["id"] = f"{one.character}-{label}"
                yield Record(file, one.place, fields)


def _distinct_aliases(emoji: list[_Emoji], tally: Tally) -> dict[str, list[str]]:
    """Return for each emoji the aliases that say its name in other words and mean it alone."""
    owners: dict[str, set[str]] = defaultdict(set)
    for one in emoji:
        for text in (one.name, *one.aliases):
            owners[_letters(text)].add(one.character)
    kept: dict[str, list[str]] = {}
    for one in emoji:
        other = [alias for alias in one.aliases if _letters(alias) != _letters(one.name)]
        kept[one.character] = [alias for alias in other if len(owners[_letters(alias)]) == 1]
        if not kept[one.character]:
            tally.dropped["emoji without an alias of its own"] += 1
    return kept


def _letters(text: str) -> str:
    return "".join(letter for letter in text.casefold() if letter.isalnum())


READERS: Mapping[str, Reader] = {
    "emoji_names": Reader(_read, {"language": Option(""), "pairs": Option(False, types=(bool,))})
}
