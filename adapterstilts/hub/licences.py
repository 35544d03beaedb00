"""A unit's licence as the Hugging Face Hub's front matter names it. No torch.

The hub refuses a card whose ``license`` is none of its own identifiers
(https://huggingface.co/docs/hub/repositories-licenses); ``other`` comes with a name, and a link where there is one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_IDENTIFIERS = """
afl-3.0 agpl-3.0 apache-2.0 artistic-2.0 bsd-2-clause bsd-3-clause bsd-3-clause-clear bsl-1.0 c-uda
cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0
cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cc-by-nd-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc0-1.0
cdla-permissive-1.0 cdla-permissive-2.0 cdla-sharing-1.0 ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1
gpl-2.0 gpl-3.0 isc lgpl-2.1 lgpl-3.0 lgpl-lr lppl-1.3c mit mpl-2.0 ms-pl ncsa odbl odc-by ofl-1.1 osl-3.0 pddl
postgresql unlicense wtfpl zlib
"""
# SPDX's name -> the hub's, where they differ.
_OTHERWISE: Mapping[str, str] = {
    "cc0": "cc0-1.0",
    "odbl-1.0": "odbl",
    "odc-by-1.0": "odc-by",
    "pddl-1.0": "pddl",
    **{
        f"{name}-{which}": name
        for name in ("agpl-3.0", "gpl-2.0", "gpl-3.0", "lgpl-2.1", "lgpl-3.0")
        for which in ("only", "or-later")
    },
}
_CREATIVE_COMMONS = re.compile(
    r"cc-(by(?:-nc)?(?:-(?:sa|nd))?)-(1\.0|2\.0|2\.1|2\.5|3\.0|4\.0)(?:-(igo|[a-z]{2}))?"
)


def front_matter_licence(text: str) -> dict[str, str]:
    """Return the fields of a card's front matter that name a licence.

    Args:
        text: the licence as its maker names it, an SPDX id or other words.

    Returns:
        ``license``; where the hub has no identifier for it, ``other`` with ``license_name``, and ``license_link`` for a
        Creative Commons licence.
    """
    name = "-".join(text.casefold().replace("-", " ").split())
    known = _OTHERWISE.get(name, name)
    if known in _IDENTIFIERS.split():
        return {"license": known}
    fields = {"license": "other", "license_name": re.sub(r"[^\w.+]+", "-", name).strip("-")}
    if found := _CREATIVE_COMMONS.fullmatch(name):
        place = "/".join(part for part in found.groups() if part)
        fields["license_link"] = f"https://creativecommons.org/licenses/{place}/"
    return fields
