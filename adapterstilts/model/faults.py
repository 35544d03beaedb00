"""What goes wrong between us and the library."""

from __future__ import annotations

from adapterstilts.errors import AdapterStiltsError

VERIFY = "run `adapterstilts store verify`"


class AssemblyError(AdapterStiltsError):
    """The library did something else than what was asked for; nothing is computed then."""

    exit_code = 5
