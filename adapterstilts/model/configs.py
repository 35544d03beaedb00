"""From an adapter's spec to the library's configuration object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapterstilts.errors import Fault
from adapterstilts.methods import METHODS, MethodError, method, option_faults, size_faults
from adapterstilts.model.faults import AssemblyError
from adapterstilts.specs import AdapterSpec


def library_config(spec: AdapterSpec, hidden: int) -> Any:
    """Return the library's configuration of a fresh adapter.

    Args:
        spec: what is wanted.
        hidden: the backbone's hidden size.

    Raises:
        AssemblyError: for a configuration that is not offered, for unknown options, and for a size that the library
            would change or fail on.
    """
    try:
        method(spec.config)
    except MethodError as error:
        raise AssemblyError(Fault("adapter.config", str(error))) from error
    faults = option_faults(spec.config, spec.options) or size_faults(
        spec.config, spec.reduction_factor, spec.options, hidden
    )
    if faults:
        raise AssemblyError(*(Fault("adapter", fault) for fault in faults))
    return _mam(spec) if spec.config == "mam" else _single(spec)


def _single(spec: AdapterSpec) -> Any:
    from adapters import AdapterConfig

    sized = METHODS[spec.config].reduction_factor is not None
    return AdapterConfig.load(
        spec.config,
        leave_out=list(range(spec.skip_layers)),
        **({"reduction_factor": spec.reduction_factor} if sized else {}),
        **_options(spec),
    )


def _mam(spec: AdapterSpec) -> Any:
    """The library drops what it is told of a union beside its parts, so the parts are told."""
    from adapters import ConfigUnion, ParBnConfig, PrefixTuningConfig

    options, leave_out = _options(spec), list(range(spec.skip_layers))
    prefix = {name: options[name] for name in ("prefix_length", "bottleneck_size")}
    return ConfigUnion(
        PrefixTuningConfig(**prefix, leave_out=leave_out),
        ParBnConfig(reduction_factor=spec.reduction_factor, scaling=options["scaling"], leave_out=leave_out),
    )


def _options(spec: AdapterSpec) -> dict[str, Any]:
    known = METHODS[spec.config].options
    return {name: known[name].read(spec.options.get(name, known[name].default)) for name in known}


def holders_of(config: Mapping[str, Any]) -> list[str]:
    """Return in which of `adapterstilts.model.parts.HOLDERS` an adapter has parameters.

    Args:
        config: the library's configuration, as a dictionary.
    """
    if config.get("architecture") == "union":
        return list(dict.fromkeys(holder for part in config["configs"] for holder in holders_of(part)))
    named = {"lora": ["loras"], "prefix_tuning": ["prefix_tunings"]}
    if config.get("architecture") in named:
        return named[config["architecture"]]
    shares = config.get("phm_layer") and (config["shared_phm_rule"] or config["shared_W_phm"])
    optional = {"shared_parameters": shares, "invertible_adapters": config.get("inv_adapter")}
    return ["adapters", *(holder for holder, present in optional.items() if present)]
