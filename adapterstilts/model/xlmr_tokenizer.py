"""An XLM-R tokenizer from a list of unigram pieces: the three files that `AutoTokenizer` reads.

The characters are rewritten by the map of the vocabulary itself, and then letters and their marks are
composed (NFC), because that map knows single characters only. The map is stored as SentencePiece stores
it, a double-array trie over UTF-8 bytes, which the `tokenizers` library reads as its normaliser
`Precompiled`: one pass over the text, and no dependence on the Unicode tables of the Python that converts.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from adapterstilts.model.e5_format import Vocabulary

BOS, PAD, EOS, UNK, MASK = "<s>", "<pad>", "</s>", "<unk>", "<mask>"
SPECIAL_TOKENS = {
    "bos_token": BOS,
    "cls_token": BOS,
    "eos_token": EOS,
    "mask_token": MASK,
    "pad_token": PAD,
    "sep_token": EOS,
    "unk_token": UNK,
}
_WORD_START = "▁"

# NFC also sorts the marks of a letter. SentencePiece does not, and XLM-R has frequent pieces in the order in
# which Hebrew, Arabic and Burmese are typed (dagesh, shadda or asat first). A character between two such
# marks keeps NFC from sorting them; U+FDD0 is never in a text, Unicode keeps it for such inner use.
_MARK = "[\u0591-\u05c7\u064b-\u065f\u0670\u1037-\u103a]"
_BETWEEN_MARKS = f"(?<={_MARK})(?={_MARK})"
_SEPARATOR = "\ufdd0"

# A unit of the trie, u32 (source: the format of the library darts-clone, which SentencePiece uses):
# bits 0-7 the byte that leads here, bit 8 "a key ends here", bits 10-30 the distance to the children (xor);
# a unit that holds a value has bit 31 set and the value in the other bits.
_ENDS_KEY = 1 << 8
_DISTANCE_SHIFT = 10
_IS_VALUE = 1 << 31
_FAN = 256


def write_tokenizer(vocabulary: Vocabulary, target: Path, max_length: int) -> None:
    """Write tokenizer.json, tokenizer_config.json and special_tokens_map.json.

    Args:
        vocabulary: pieces, scores and rewritten characters.
        target: an existing folder.
        max_length: tokens in the longest text, special tokens included.
    """
    build_tokenizer(vocabulary).save(str(target / "tokenizer.json"), pretty=False)
    special = {**SPECIAL_TOKENS, "mask_token": _added(MASK)}
    settings = {
        **SPECIAL_TOKENS,
        "added_tokens_decoder": _added_tokens(vocabulary),
        "clean_up_tokenization_spaces": False,
        "model_max_length": max_length,
        "tokenizer_class": "XLMRobertaTokenizerFast",
    }
    write_json(target / "special_tokens_map.json", special)
    write_json(target / "tokenizer_config.json", settings)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write `value` with sorted keys, so that the same value is always the same bytes."""
    path.write_text(
        json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n", "utf-8", newline="\n"
    )


def build_tokenizer(vocabulary: Vocabulary) -> Tokenizer:
    """Return the fast tokenizer: rewrite, split at spaces, search for pieces, add `<s>` and `</s>`."""
    pieces = list(zip(vocabulary.pieces, vocabulary.scores, strict=True))
    tokenizer = Tokenizer(models.Unigram(pieces, vocabulary.unk, False))
    tokenizer.normalizer = _normalizer(vocabulary.rewrites)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement=_WORD_START, prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(replacement=_WORD_START, prepend_scheme="always")
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A {EOS}",
        pair=f"{BOS} $A {EOS} {EOS} $B {EOS}",
        special_tokens=[(BOS, vocabulary.bos), (EOS, vocabulary.eos)],
    )
    for token in (BOS, PAD, EOS, UNK, MASK):
        # A mask takes the space before it, as in XLM-R: "a <mask>" is two tokens, not three.
        tokenizer.add_special_tokens([AddedToken(token, lstrip=token == MASK, normalized=False)])
    return tokenizer


def _added(token: str) -> dict[str, Any]:
    return {
        "content": token,
        "lstrip": token == MASK,
        "normalized": False,
        "rstrip": False,
        "single_word": False,
    }


def _added_tokens(vocabulary: Vocabulary) -> dict[str, dict[str, Any]]:
    ids = {piece: i for i, piece in enumerate(vocabulary.pieces)}
    return {str(ids[token]): {**_added(token), "special": True} for token in (BOS, PAD, EOS, UNK, MASK)}


def _normalizer(rewrites: Mapping[int, str]) -> normalizers.Normalizer:
    """Return remove, rewrite, compose, and then single spaces with none at the ends, as in XLM-R."""
    removed = "".join(f"\\x{{{codepoint:x}}}" for codepoint, text in sorted(rewrites.items()) if not text)
    steps = [
        normalizers.Precompiled(character_map({chr(c): text for c, text in rewrites.items() if text})),
        normalizers.Replace(Regex(_BETWEEN_MARKS), _SEPARATOR),
        normalizers.NFC(),
        normalizers.Replace(_SEPARATOR, ""),
        normalizers.Replace(Regex(" {2,}"), " "),
        normalizers.Strip(),
    ]
    if removed:
        # `Precompiled` loses its place in the text when it removes the first character; `Replace` does not.
        steps.insert(0, normalizers.Replace(Regex(f"[{removed}]"), ""))
    return normalizers.Sequence(steps)


def character_map(rewrites: Mapping[str, str]) -> bytes:
    """Return the map of characters to their replacements as SentencePiece stores it.

    The trie is laid out plainly: 256 units for each node that has children, and after these one unit for
    each value, so that no search for free places is needed.

    Args:
        rewrites: single characters to texts without NUL; none of the texts is empty.

    Returns:
        u32 length of the trie in bytes, the trie, the replacements, each ended by NUL.
    """
    keys = {key.encode("utf-8"): text.encode("utf-8") for key, text in sorted(rewrites.items())}
    # The empty prefix sorts first, so the root is node 0, as the reader expects.
    nodes = {
        prefix: i * _FAN
        for i, prefix in enumerate(sorted({key[:i] for key in keys for i in range(len(key))}))
    }
    first_value = len(nodes) * _FAN
    trie = np.zeros(-(-(first_value + len(keys)) // _FAN) * _FAN, dtype="<u4")
    for prefix, children in nodes.items():
        _set_unit(trie, nodes, prefix, children, 0)
    texts = bytearray()
    for value_at, (key, text) in enumerate(keys.items(), start=first_value):
        _set_unit(trie, nodes, key, value_at, _ENDS_KEY)
        trie[value_at] = _IS_VALUE | len(texts)
        texts += text + b"\0"
    return struct.pack("<I", trie.nbytes) + trie.tobytes() + bytes(texts)


def _set_unit(
    trie: npt.NDArray[np.uint32], nodes: Mapping[bytes, int], prefix: bytes, children: int, flags: int
) -> None:
    """Set the unit that the bytes `prefix` lead to; its children start at unit `children`."""
    at = nodes[prefix[:-1]] ^ prefix[-1] if prefix else 0
    label = prefix[-1] if prefix else 0
    trie[at] = (at ^ children) << _DISTANCE_SHIFT | flags | label
