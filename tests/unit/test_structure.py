"""What the linters cannot say about the source: sizes, registries, lazy imports, no pickle, a README that is true."""

import ast
import importlib
import importlib.metadata
import pkgutil
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from headstart.core.registry import Registry

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "headstart"
FILES = sorted(SOURCE.rglob("*.py"))
FRAMEWORKS = ("torch", "torchvision", "timm", "sklearn", "scipy", "accelerate", "matplotlib", "pyarrow", "pandas")
LONGEST_FILE, LONGEST_FUNCTION = 400, 60


def names(path: Path) -> str:
    return str(path.relative_to(ROOT))


def modules() -> list[str]:
    return [m.name for m in pkgutil.walk_packages([str(SOURCE)], "headstart.") if not m.name.endswith("__main__")]


# --- sizes


@pytest.mark.parametrize("path", FILES, ids=names)
def test_no_file_is_long(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LONGEST_FILE, "split it by concept"


@pytest.mark.parametrize("path", FILES, ids=names)
def test_no_function_is_long(path: Path) -> None:
    functions = (
        n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    long = {f.name: f.end_lineno - f.lineno + 1 for f in functions if f.end_lineno - f.lineno >= LONGEST_FUNCTION}
    assert not long


def test_no_drawers() -> None:
    assert not [names(p) for p in FILES if p.stem in {"utils", "helpers", "common", "misc"}]


def test_no_folder_for_later() -> None:
    folders = {p.parent for p in FILES}
    assert not [names(f) for f in folders if not any(p.stem != "__init__" for p in f.rglob("*.py"))]


# --- registries


def registries() -> dict[str, Registry]:
    found: dict[str, Registry] = {}
    for module in modules():
        for name, value in vars(importlib.import_module(module)).items():
            if isinstance(value, Registry):
                found.setdefault(value.group, value)
                assert found[value.group] is value, f"{module}.{name}: a second registry for {value.group}"
    return found


def test_every_registry_string_resolves() -> None:
    found = registries()
    assert {"headstart.strategies", "headstart.controls", "headstart.estimators"} <= set(found)
    for registry in found.values():
        for name in registry.builtin:
            assert callable(registry.load(name)), f"{registry.kind} {name}"


# --- lazy imports


def loaded_by(code: str) -> set[str]:
    """The frameworks that a fresh interpreter has loaded after this code."""
    ask = f"import sys\n{code}\nprint('\\nloaded:', *[m for m in {FRAMEWORKS!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    return set(done.stdout.rpartition("loaded:")[2].split())


def test_the_question_would_notice_a_framework() -> None:
    assert "pyarrow" in loaded_by("import pyarrow")


def test_import_headstart_loads_no_framework() -> None:
    assert loaded_by("import headstart; dir(headstart)") == set()


@pytest.mark.parametrize(
    "arguments", [["--help"], ["fit", "--help"], ["plan", "diff", "--help"], ["--version"], ["fti"]]
)
def test_the_command_line_loads_no_framework(arguments: list[str]) -> None:
    assert loaded_by(f"from headstart.cli.main import main; main({arguments!r})") == set()


def test_listing_the_sources_loads_no_torch() -> None:
    assert not loaded_by("from headstart.cli.main import main; main(['sources', 'list'])") & {"torch", "timm"}


# --- safety

PICKLES = {"pickle", "cPickle", "_pickle", "joblib", "dill", "cloudpickle", "shelve", "marshal"}
BANNED_CALLS = {"read_pickle", "to_pickle", "extractall", "unpack_archive"}


def unsafe(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.split(".")[0] in PICKLES)
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in PICKLES:
            yield str(node.module)
        if isinstance(node, ast.Attribute) and node.attr in BANNED_CALLS:
            yield node.attr
        if isinstance(node, ast.Call):
            yield from unsafe_call(node)


def unsafe_call(call: ast.Call) -> Iterator[str]:
    given = {k.arg: k.value for k in call.keywords}
    constant = {name: getattr(value, "value", None) for name, value in given.items()}
    if constant.get("allow_pickle", False) is not False:
        yield "allow_pickle"
    if ast.unparse(call.func) == "torch.load" and constant.get("weights_only") is not True:
        yield "torch.load without weights_only=True"


@pytest.mark.parametrize("path", FILES, ids=names)
def test_no_pickle_and_no_blind_extraction(path: Path) -> None:
    assert list(unsafe(ast.parse(path.read_text()))) == []


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from joblib import load",
        "np.load(p, allow_pickle=True)",
        "np.load(p, allow_pickle=x)",
        "torch.load(p)",
        "torch.load(p, weights_only=False)",
        "pd.read_pickle(p)",
        "archive.extractall()",
    ],
)
def test_what_is_unsafe_is_seen(code: str) -> None:
    assert list(unsafe(ast.parse(code)))


# --- packaging


def test_dependencies_are_what_is_imported() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {re.split(r"[<>=\[ ]", line)[0].lower() for line in project["dependencies"]}
    apart = {"standalone", "serve"}  # what is exported runs without us; the server comes with an extra
    ours = [path for path in FILES if path.parent.name not in apart]
    imported = {name for path in ours for name in imports(ast.parse(path.read_text()))}
    of = importlib.metadata.packages_distributions()
    foreign = {n for n in imported if n not in sys.stdlib_module_names and n != "headstart"}
    assert {of[name][0].lower().replace("_", "-") for name in foreign} == declared


def test_the_server_imports_its_extra() -> None:
    """By name at the top of its files, so that types are checked; the command asks for the packages before."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    base = {re.split(r"[<>=\[ ]", line)[0].lower() for line in project["dependencies"]}
    extra = {re.split(r"[<>=\[ ]", line)[0].lower() for line in project["optional-dependencies"]["serve"]}
    served = [path for path in FILES if path.parent.name == "serve"]
    imported = {name for path in served for name in imports(ast.parse(path.read_text()))}
    foreign = {name for name in imported if name not in sys.stdlib_module_names and name != "headstart"} - base
    assert foreign | {"python-multipart"} == extra  # starlette takes forms apart with the latter


def test_scikit_learn_is_asked_for_where_it_is_needed() -> None:
    asked = {names(path) for path in FILES if 'require("sklearn' in path.read_text()}
    assert asked == {"src/headstart/sklearn.py", "src/headstart/strategies/unsupervised/clustering.py"}


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (a.name.split(".")[0] for a in node.names)
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


def test_types_are_shipped() -> None:
    assert (SOURCE / "py.typed").exists()


# --- the README; that what it says is so, tests/unit/test_docs.py sees


def test_readme_fits_one_screen() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 70
