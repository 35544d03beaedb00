"""The layers: who may import whom, what is used in one place only, and what starts without torch."""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import adapterstilts

ROOT = Path(adapterstilts.__file__).parent
NAME = ROOT.name

# A module imports units of lower levels and its own unit, nothing else.
LEVELS: dict[int, set[str]] = {
    0: {"errors", "killpoints", "files"},
    1: {"machine", "tasks", "compose", "store", "metrics"},
    2: {"specs", "backbones", "methods"},
    3: {"paths", "trust"},
    4: {"recipe", "data", "report", "units"},
    5: {"model"},
    6: {"engine", "hub"},
    7: {"training"},
    8: {"stages"},
    9: {"runner"},
    10: {"search"},
    11: {"cli"},
}
LEVEL = {unit: level for level, units in LEVELS.items() for unit in units}
# "importing module -> imported module": why. May only shrink.
EXCEPTIONS: dict[str, str] = {}

# Package -> the only places that import it.
FENCES: dict[str, set[str]] = {
    "hashlib": {"store.digest"},
    "hmac": {"store.digest"},
    "secrets": {"store.digest"},
    "yaml": {"recipe.yaml_text", "data.readers.dialogues"},
    "matplotlib": {"report"},
    "click": {"cli"},
    "rich": {"cli"},
    "adapters": {"model"},
    "transformers": {"model"},
    "bitsandbytes": {"model"},
    "datasets": {"data"},
    "huggingface_hub": {"hub", "model"},
    "ray": {"runner.cluster"},
    "fsspec": {"store.mirror"},
    "optuna": {"search"},
    "sqlalchemy": {"search"},
}
PRINTERS = {"cli"}

# What a user waits for before anything is computed.
WITHOUT_TORCH = (
    *(unit for level in (0, 1, 2, 3) for unit in sorted(LEVELS[level])),
    "recipe",
    "report",
    "units",
    "hub.references",
    "hub.manifest",
    "hub.provenance",
    "hub.registry",
    "hub.shelf",
    "cli",
    "data.load",
    "runner.prepare",
    "runner.missing",
    "runner.planfile",
    "runner.estimate",
    "runner.results",
    "runner.execute",
)


@dataclass(frozen=True)
class Import:
    """One import statement's target.

    Attributes:
        module: that imports, without the package's name.
        target: what is imported, without the package's name for our own modules.
        own: whether the target is ours.
        place: file and line.
    """

    module: str
    target: str
    own: bool
    place: str


def modules(root: Path) -> dict[str, Path]:
    """Return dotted name below the package -> file; a package's own file has the package's name."""
    found = {}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@functools.cache
def imports(root: Path) -> tuple[Import, ...]:
    return tuple(_imports(root))


def _imports(root: Path) -> Iterator[Import]:
    """Yield all imports, those inside functions too; ones for type checkers only are left out."""
    known = modules(root)
    for module, path in known.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        for node in runtime_nodes(tree):
            place = f"{path.relative_to(root.parent).as_posix()}:{getattr(node, 'lineno', 0)}"
            for target in targets(node, package, root.name, known):
                own = target == root.name or target.startswith(f"{root.name}.")
                yield Import(
                    module, target.removeprefix(root.name).lstrip(".") if own else target, own, place
                )


def runtime_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for other in node.orelse:
                yield other
                yield from runtime_nodes(other)
            continue
        yield node
        yield from runtime_nodes(node)


def targets(node: ast.AST, package: str, name: str, known: dict[str, Path]) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    base = node.module or ""
    if node.level:
        above = package.split(".")[: len(package.split(".")) - node.level + 1] if package else []
        base = ".".join(part for part in (name, *above, base) if part)
    if not (base == name or base.startswith(f"{name}.")):
        return [base]
    inside = base.removeprefix(name).lstrip(".")
    full = [".".join(part for part in (inside, alias.name) if part) for alias in node.names]
    return [f"{name}.{one}" if one in known else base for one in full]


def unit(module: str) -> str:
    return module.split(".")[0]


def exempt(module: str) -> bool:
    """The package's own file and ``python -m`` may import what they like; anyone may import its version."""
    return module in ("", "__main__")


def level_faults(root: Path, level: dict[str, int], exceptions: dict[str, str]) -> list[str]:
    faults = []
    for one in imports(root):
        if not one.own or exempt(one.module) or exempt(one.target) or unit(one.module) == unit(one.target):
            continue
        if f"{one.module} -> {one.target}" in exceptions:
            continue
        here, there = level[unit(one.module)], level[unit(one.target)]
        if there >= here:
            faults.append(f"{one.place}: {one.module} (level {here}) imports {one.target} (level {there})")
    return faults


def fence_faults(root: Path, fences: dict[str, set[str]]) -> list[str]:
    return [
        f"{one.place}: {one.module} imports {one.target}, which only {', '.join(sorted(allowed))} may"
        for one in imports(root)
        if not one.own and (allowed := fences.get(unit(one.target))) is not None
        if not any(f"{one.module}.".startswith(f"{place}.") for place in allowed)
    ]


def print_faults(root: Path, printers: set[str]) -> list[str]:
    return [
        f"{path.relative_to(root.parent).as_posix()}:{node.lineno}: {module} prints"
        for module, path in modules(root).items()
        if unit(module) not in printers
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Name) and node.id == "print"
    ]


def test_every_unit_has_one_level() -> None:
    units = {unit(module) for module in modules(ROOT) if not exempt(module)}
    assert units - set(LEVEL) == set(), "give the new unit a level in LEVELS"
    assert len(LEVEL) == sum(map(len, LEVELS.values())), "a unit stands at two levels"


def test_modules_import_lower_levels_only() -> None:
    assert (faults := level_faults(ROOT, LEVEL, EXCEPTIONS)) == [], "\n".join(faults)


def test_every_exception_is_still_needed() -> None:
    present = {f"{one.module} -> {one.target}" for one in imports(ROOT)}
    assert set(EXCEPTIONS) - present == set()


def test_modules_import_each_other_in_no_circle() -> None:
    graph: dict[str, set[str]] = {}
    for one in imports(ROOT):
        if one.own and not exempt(one.module) and not exempt(one.target):
            graph.setdefault(one.module, set()).add(one.target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(reversed(error.args[1])))


def test_fenced_packages_stay_in_their_places() -> None:
    assert (faults := fence_faults(ROOT, FENCES)) == [], "\n".join(faults)


def test_only_the_command_line_prints() -> None:
    assert (faults := print_faults(ROOT, PRINTERS)) == [], "\n".join(faults)


def test_planning_and_reporting_start_without_torch() -> None:
    wanted = [
        f"{NAME}.{module}"
        for module in modules(ROOT)
        if any(f"{module}.".startswith(f"{start}.") for start in WITHOUT_TORCH)
    ]
    assert len(wanted) > 80
    unknown = [s for s in WITHOUT_TORCH if not any(f"{name}.".startswith(f"{NAME}.{s}.") for name in wanted)]
    assert unknown == [], "no such module any more"
    code = (
        "import importlib, sys\n"
        f"for name in {wanted!r}:\n"
        "    importlib.import_module(name)\n"
        "    if 'torch' in sys.modules:\n"
        "        sys.exit(f'{name} imports torch')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_command_line_starts_without_heavy_packages() -> None:
    code = (
        f"import sys\nfrom {NAME}.cli.main import run\nassert run(['--help']) == 0\n"
        "heavy = {'torch', 'transformers', 'adapters', 'matplotlib', 'pandas', 'numpy'} & set(sys.modules)\n"
        "sys.exit(f'loaded: {sorted(heavy)}' if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# ---- the rules themselves, on a package that breaks them


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    files = {
        "__init__.py": "from toy.high.a import x\n",
        "low/__init__.py": "",
        "low/a.py": (
            "from typing import TYPE_CHECKING\n"
            "if TYPE_CHECKING:\n"
            "    from toy.high.a import x\n"
            "from toy import __version__\n"
            "def f():\n"
            "    from toy.high import a\n"
            "    print(a)\n"
        ),
        "low/b.py": "from . import a\nfrom ..high.a import x\nimport hashlib\n",
        "high/__init__.py": "",
        "high/a.py": "import toy.low.a\nfrom hashlib import sha256\nx = 1\n",
    }
    for name, text in files.items():
        path = tmp_path / "toy" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path / "toy"


def test_an_upward_import_is_found_with_its_place(toy: Path) -> None:
    faults = level_faults(toy, {"low": 0, "high": 1}, {})
    assert faults == [
        "toy/low/a.py:6: low.a (level 0) imports high.a (level 1)",
        "toy/low/b.py:2: low.b (level 0) imports high.a (level 1)",
    ]
    assert len(level_faults(toy, {"low": 0, "high": 1}, {"low.a -> high.a": "asked for late"})) == 1
    assert len(level_faults(toy, {"low": 1, "high": 1}, {})) == 3


def test_a_package_outside_its_fence_is_found(toy: Path) -> None:
    assert fence_faults(toy, {"hashlib": {"high.a"}}) == [
        "toy/low/b.py:3: low.b imports hashlib, which only high.a may"
    ]


def test_a_print_is_found(toy: Path) -> None:
    assert print_faults(toy, {"high"}) == ["toy/low/a.py:7: low.a prints"]
