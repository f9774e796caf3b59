"""The design's rules about imports, names and sizes, held by reading the sources and importing nothing."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src"
PACKAGE = "zarrmill"

ORDER = (
    ("version",),
    ("errors",),
    ("draft",),
    ("units",),
    ("grid",),
    ("layout",),
    ("digest_weights",),
    ("digest",),
    ("plan",),
    ("codecs",),
    ("keyspace",),
    ("repository_store",),
    ("icechunk_repository",),
    ("prefix_store",),
    ("key_store",),
    ("store",),
    ("v2",),
    ("hierarchy",),
    ("documents",),
    ("metadata",),
    ("progress",),
    ("journal",),
    ("key_journal",),
    ("execute",),
    ("digests",),
    ("differences",),
    ("key_states",),
    ("made_from",),
    ("prepare",),
    ("changes",),
    ("store_draft",),
    ("inventory",),
    ("info",),
    ("discard",),
    ("report",),
    ("verify",),
    ("publish",),
    ("update",),
    ("update_report",),
    ("target",),
    ("update_target",),
    ("resume",),
    ("finish",),
    ("work",),
    ("update_work",),
    ("commit_target",),
    ("rechunk",),
    ("shared_work",),
    ("jobs",),
    ("calibrate",),
    ("estimate",),
    ("lightcurves", "recordings"),
    ("testing",),
    ("compat",),
    ("", "demo"),
    ("cli",),
    ("__main__",),
)
"""Modules and packages from the bottom up: each imports from those above it in this list only, and from itself.

The empty name is the package itself, which holds the public names. Neighbours on one line never import each other.
"""
NEIGHBOURS = {frozenset({"", "demo"})}
"""The exception: the demo uses the public API like any other program."""
PURE = ("errors", "units", "grid", "layout", "digest_weights", "digest", "plan")
"""Modules that know nothing of any format or library of storage."""
IMPURE_LIBRARIES = {"zarr", "xarray", "dask", "distributed", "h5py", "obstore", "icechunk", "numcodecs"}
CLI_MAY_IMPORT = {"errors", "progress", "units", "cli", "demo", "lightcurves", "recordings", "compat"}
"""What the command line sees beside the public names: ``from zarrmill import rechunk``."""
HEAVY = {
    "xarray", "dask", "distributed", "matplotlib", "astropy", "h5py", "obstore", "icechunk", "pandas", "pyarrow",
    "lightkurve",
}  # fmt: skip
"""Optional or slow libraries: imported inside functions, each in one file."""
STORE_CALLS = {"LocalStore", "MemoryStore", "ObjectStore", "FsspecStore", "ZipStore"}
"""Classes of zarr's that are stores, which one module alone makes."""
OPENERS = {"open", "open_group", "open_array", "open_zarr", "open_consolidated"}
"""Functions of zarr and xarray that open a store by themselves when they are given a path or a URL."""
MAY_OPEN = {
    "zarrmill.store": "the one",
    "zarrmill.demo.show": "uses zarr like any other program",
    "zarrmill.compat.targets": "gives back what zarr makes of a folder, as rechunker does",
    "zarrmill.compat.xarray_source": "looks whether a dataset is what xarray opens",
    "zarrmill.recordings.event_reader": "of what the one module has opened",
    "zarrmill.recordings.windows.window_reader": "of what the one module has opened",
}
VAGUE_NAMES = {"utils", "util", "core", "base", "common", "helpers", "helper", "misc"}
MODULE_LINES, BODY_LINES, CLASS_LINES = 400, 50, 150

Sources = Mapping[str, str]
"""Text by module name: ``zarrmill.plan.model``; a package goes by its own name."""


@dataclass(frozen=True)
class Import:
    """One imported name, where it stands and what it needs."""

    module: str
    line: int
    names: tuple[str, ...]
    """The module named, and for ``from a import b`` also ``a.b``, which may be a module."""
    lazy: bool
    for_types: bool

    @property
    def library(self) -> str:
        return self.names[0].split(".")[0]


def find_imports(module: str, text: str) -> Iterator[Import]:
    """Yield every import of a module with whether it is in a function, and whether only a type checker sees it."""
    yield from _walk(module, parse(text)[0], lazy=False, for_types=False)


@functools.lru_cache(maxsize=1000)
def parse(text: str) -> tuple[ast.AST, ...]:
    """Return every node of a module, the module itself first."""
    return tuple(ast.walk(ast.parse(text)))


def _walk(module: str, node: ast.AST, *, lazy: bool, for_types: bool) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield Import(module, node.lineno, (alias.name,), lazy, for_types)
    elif isinstance(node, ast.ImportFrom):
        source = node.module or ""
        for alias in node.names:
            yield Import(module, node.lineno, (source, f"{source}.{alias.name}"), lazy, for_types)
    lazy = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    unseen = node.body if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test) else []
    # No expression holds an import.
    for child in (child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.expr)):
        yield from _walk(module, child, lazy=lazy, for_types=for_types or child in unseen)


def find_problems(sources: Sources) -> list[str]:
    """Return what breaks a rule of the design, in one line each."""
    imports = [found for module, text in sources.items() for found in find_imports(module, text)]
    return [
        *find_order_problems(imports, sources),
        *find_pure_problems(imports),
        *find_cli_problems(imports, sources),
        *find_heavy_problems(imports),
        *find_store_problems(sources),
        *find_name_problems(sources),
        *find_size_problems(sources),
    ]


def find_order_problems(imports: list[Import], sources: Sources) -> Iterator[str]:
    """Imports point down only, and every module has a place."""
    ranks = {name: rank for rank, names in enumerate(ORDER) for name in names}
    for part in sorted({get_part(module) for module in sources} - set(ranks)):
        yield f"{PACKAGE}.{part}: has no place in ORDER"
    for found in imports:
        here = get_part(found.module)
        there = get_target(found, sources)
        if here == "" or there is None or here == there or not {here, there} <= set(ranks):
            continue
        if ranks[there] >= ranks[here] and frozenset({here, there}) not in NEIGHBOURS:
            yield f"{found.module}:{found.line}: imports {there or PACKAGE}, which is not below {here}"


def find_pure_problems(imports: list[Import]) -> Iterator[str]:
    """Pure modules import no library of storage, not even for types."""
    for found in imports:
        if get_part(found.module) in PURE and found.library in IMPURE_LIBRARIES:
            yield f"{found.module}:{found.line}: pure, but imports {found.library}"


def find_cli_problems(imports: list[Import], sources: Sources) -> Iterator[str]:
    """The command line uses the public API only."""
    public = {f"{PACKAGE}.{name}" for name in find_public_names(sources.get(PACKAGE, ""))}
    for found in imports:
        there = get_target(found, sources)
        if get_part(found.module) != "cli" or there is None or there in CLI_MAY_IMPORT or found.names == (PACKAGE,):
            continue
        if not (found.names[0] == PACKAGE and found.names[1] in public):
            yield f"{found.module}:{found.line}: imports {found.names[-1]}, which is not public"


def find_heavy_problems(imports: list[Import]) -> Iterator[str]:
    """Heavy libraries are imported inside functions, each in one file."""
    heavy = [found for found in imports if found.library in HEAVY and not found.for_types]
    for found in heavy:
        if not found.lazy:
            yield f"{found.module}:{found.line}: imports {found.library} at the top"
    for library in sorted(HEAVY):
        homes = sorted({found.module for found in heavy if found.library == library})
        if len(homes) > 1:
            yield f"{library}: imported in {len(homes)} files: {', '.join(homes)}"


def find_store_problems(sources: Sources) -> Iterator[str]:
    """One module opens stores; what others ask of zarr goes through it."""
    for module, text in sources.items():
        for node in parse(text):
            if not isinstance(node, ast.Call) or module in MAY_OPEN:
                continue
            called = ast.unparse(node.func).rpartition(".")
            if called[2] in STORE_CALLS and get_part(module) != "keyspace":
                yield f"{module}:{node.lineno}: makes a {called[2]}, which store.py alone does"
            if called[2] in OPENERS and called[0] in ("zarr", "xr", "xarray"):
                yield f"{module}:{node.lineno}: calls {'.'.join(called[::2])}, which store.py alone does"


def find_name_problems(sources: Sources) -> Iterator[str]:
    """A file is named for the one thing that it holds."""
    for module in sources:
        if module.split(".")[-1].strip("_") in VAGUE_NAMES:
            yield f"{module}: a name that says nothing"


def find_size_problems(sources: Sources) -> Iterator[str]:
    """Modules, function bodies (without the docstring) and classes stay readable."""
    for module, text in sources.items():
        if (lines := len(text.splitlines())) > MODULE_LINES:
            yield f"{module}: {lines} lines of {MODULE_LINES}"
        for node in parse(text):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (size := measure_body(node)) > BODY_LINES:
                yield f"{module}:{node.lineno}: {node.name} has a body of {size} lines of {BODY_LINES}"
            if isinstance(node, ast.ClassDef) and (size := measure(node, node)) > CLASS_LINES:
                yield f"{module}:{node.lineno}: class {node.name} has {size} lines of {CLASS_LINES}"


def get_part(module: str) -> str:
    """Return the part of the package that a module belongs to: ``plan`` for ``zarrmill.plan.model``."""
    return [*module.split("."), ""][1]


def get_target(found: Import, sources: Sources) -> str | None:
    """Return the part that an import reaches into, or None for another package.

    ``from zarrmill import x`` reaches into x where x is a module, but into the package where x is a public name too.
    """
    if found.library != PACKAGE:
        return None
    if len(found.names) == 2 and found.names[0] == PACKAGE:
        public = found.names[1].split(".")[1] in find_public_names(sources.get(PACKAGE, ""))
        is_module = found.names[1] in sources or any(name.startswith(found.names[1] + ".") for name in sources)
        return get_part(found.names[1]) if is_module and not public else ""
    return get_part(found.names[0])


def find_public_names(text: str) -> set[str]:
    """Return the names in ``__all__``."""
    for node in ast.parse(text).body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            return set(ast.literal_eval(node.value))
    return set()


def measure_body(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the lines of a function's body without its docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return measure(body[0], body[-1]) if body else 0


def measure(first: ast.stmt, last: ast.stmt) -> int:
    """Return the lines from the first to the last."""
    return (last.end_lineno or last.lineno) - first.lineno + 1


def read_sources(root: Path) -> dict[str, str]:
    """Return the text of every module below a folder."""
    sources = {}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        sources[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path.read_text(encoding="utf-8")
    return sources


def test_sources_keep_the_rules() -> None:
    """Nothing below src breaks a rule of the design."""
    sources = read_sources(SRC)

    assert f"{PACKAGE}.errors" in sources
    assert find_problems(sources) == []


PUBLIC = {"zarrmill": "__all__ = ['rechunk']\n", "zarrmill.rechunk": ""}
BROKEN = {
    "upward": ({"zarrmill.grid": "from zarrmill.layout import ArrayLayout", "zarrmill.layout": ""}, "not below grid"),
    "upward, lazy": (
        {"zarrmill.grid": "def f():\n import zarrmill.plan.model", "zarrmill.plan.model": ""},
        "not below",
    ),
    "upward, module from package": (
        {"zarrmill.grid": "from zarrmill import layout", "zarrmill.layout": ""},
        "not below",
    ),
    "upward, public name": (PUBLIC | {"zarrmill.grid": "from zarrmill import rechunk"}, "imports zarrmill, which"),
    "neighbours": (
        {"zarrmill.recordings.a": "import zarrmill.lightcurves.b", "zarrmill.lightcurves.b": ""},
        "not below",
    ),
    "no place": ({"zarrmill.somewhere": ""}, "zarrmill.somewhere: has no place"),
    "pure": ({"zarrmill.plan.model": "import zarr"}, "pure, but imports zarr"),
    "pure, lazy": ({"zarrmill.digest": "def f():\n from numcodecs import Zstd"}, "pure, but imports numcodecs"),
    "pure, for types": ({"zarrmill.layout": "if TYPE_CHECKING:\n import h5py"}, "pure, but imports h5py"),
    "cli": ({"zarrmill.cli.run": "from zarrmill.execute import run", "zarrmill.execute": ""}, "not public"),
    "cli, private name": (PUBLIC | {"zarrmill.cli.run": "from zarrmill import store"}, "not public"),
    "cli, private module": (
        PUBLIC | {"zarrmill.cli.run": "from zarrmill import store", "zarrmill.store": ""},
        "public",
    ),
    "heavy at the top": ({"zarrmill.store": "import obstore.store"}, "imports obstore at the top"),
    "heavy in a class body": ({"zarrmill.store": "class A:\n import dask"}, "imports dask at the top"),
    "heavy under try": ({"zarrmill.store": "try:\n import dask\nexcept ImportError: pass"}, "dask at the top"),
    "heavy in two files": (
        {"zarrmill.compat": "def f():\n import xarray", "zarrmill.store": "def f():\n import xarray.testing"},
        "xarray: imported in 2 files",
    ),
    "store made": ({"zarrmill.execute": "def f(p):\n return LocalStore(p)"}, "makes a LocalStore, which store.py"),
    "store opened": ({"zarrmill.lightcurves": "import zarr\nzarr.open_array('a')"}, "calls zarr.open_array, which"),
    "vague name": ({"zarrmill.plan.utils": ""}, "zarrmill.plan.utils: a name"),
    "vague private name": ({"zarrmill.plan._common": ""}, "zarrmill.plan._common: a name"),
    "long module": ({"zarrmill.grid": "\n" * 401}, "401 lines of 400"),
    "long body": ({"zarrmill.grid": "def f():\n '''Doc.'''\n" + " x = 1\n" * 51}, "f has a body of 51 lines"),
    "long async body": ({"zarrmill.grid": "async def f():\n" + " x = 1\n" * 51}, "f has a body of 51 lines"),
    "long class": ({"zarrmill.grid": "class A:\n" + " x = 1\n" * 150}, "class A has 151 lines"),
}
SOUND = {
    "store made by the one": {"zarrmill.store": "LocalStore('a')", "zarrmill.keyspace": "def f(s):\n s.MemoryStore()"},
    "downward": {"zarrmill.layout": "from zarrmill.grid import Region", "zarrmill.grid": ""},
    "within a package": {"zarrmill.plan.cost": "from zarrmill.plan.model import Block", "zarrmill.plan.model": ""},
    "public names": {"zarrmill": "from zarrmill.rechunk import rechunk", "zarrmill.rechunk": ""},
    "demo uses the public API": PUBLIC | {"zarrmill.demo.show": "import zarrmill"},
    "cli uses the public API": PUBLIC | {"zarrmill.cli.run": "import zarrmill\nfrom zarrmill import rechunk"},
    "cli uses errors": {"zarrmill.cli": "from zarrmill.errors import ZarrmillError", "zarrmill.errors": ""},
    "heavy, lazy": {"zarrmill.store": "def f():\n import obstore"},
    "heavy, for types": {"zarrmill.execute": "if TYPE_CHECKING:\n from distributed import Client"},
    "as large as allowed": {"zarrmill.grid": "class A:\n" + " x = 1\n" * 149 + "def f():\n" + " x = 1\n" * 50},
    "docstring does not count": {"zarrmill.grid": "def f():\n '''" + "\n" * 60 + "'''\n x = 1\n"},
}


@pytest.mark.parametrize(("sources", "problem"), BROKEN.values(), ids=BROKEN)
def test_a_broken_rule_is_found(sources: Sources, problem: str) -> None:
    """Each rule can fail, and says where."""
    problems = find_problems(sources)

    assert any(problem in found for found in problems), problems


@pytest.mark.parametrize("sources", SOUND.values(), ids=SOUND)
def test_what_is_allowed_passes(sources: Sources) -> None:
    """No rule forbids what the design allows."""
    assert find_problems(sources) == []
