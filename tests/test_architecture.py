"""Who knows whom: the import contracts of pyproject.toml, and what an import linter cannot see."""

from __future__ import annotations

import ast
import importlib
import inspect
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import goralx
from goralx.contracts import hookspecs
from goralx.discovery import HOOKS

ROOT = Path(__file__).parent.parent
PACKAGE = sorted((ROOT / "goralx").rglob("*.py"))
PLUGINS = sorted((ROOT / "plugins").glob("*.py"))

LINT = (
    "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
)

CORE = "the core is numpy and scipy alone"
LAYERS = "who must not know whom"
CIRCLES = "no circles"
HYDRA = "hydra only in app"
MLFLOW = "mlflow only in tracking.mlflow"
PLUGGY = "pluggy only in contracts.hookspecs and discovery"
FACE = "learning is asked by its face"

HEAVY = {"matplotlib", "mlflow", "pandas", "sklearn", "torch", "transformers"}

FACES = {
    package.name: importlib.import_module(f"goralx.{package.name}")
    for package in (ROOT / "goralx").iterdir()
    if (package / "__init__.py").exists()
}
"""What each package hands out."""


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imports(path: Path, *, lazy: bool = True) -> Iterator[tuple[str, list[str]]]:
    """(module, names) of a file's absolute imports, without those for the type checker only."""
    stack: list[ast.AST] = [ast.parse(path.read_text())]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not lazy:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, []) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield str(node.module), [alias.name for alias in node.names]
        stack.extend(ast.iter_child_nodes(node))


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", LINT], cwd=folder, capture_output=True, text=True)


def test_the_import_contracts_are_kept():
    result = lint(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    "module, line, contract, reported",
    [
        ("core/influence.py", "import sklearn", CORE, "goralx.core.influence -> sklearn"),
        (
            "core/influence.py",
            "from goralx import contracts",
            LAYERS,
            "goralx.core.influence -> goralx.contracts",
        ),
        (
            "learning/experiment.py",
            "from goralx import records",
            LAYERS,
            "goralx.learning.experiment -> goralx.records",
        ),
        (
            "contracts/goals.py",
            "from goralx import scoring",
            LAYERS,
            "goralx.contracts.goals -> goralx.scoring",
        ),
        (
            "contracts/passes.py",
            "from .goals import Goal",
            CIRCLES,
            "No cycles are allowed in goralx.contracts",
        ),
        ("learning/audit.py", "import hydra", HYDRA, "goralx.learning.audit -> hydra"),
        ("data/instance.py", "import omegaconf", HYDRA, "goralx.data.instance -> omegaconf"),
        ("report/__init__.py", "import mlflow", MLFLOW, "goralx.report -> mlflow"),
        ("library/questions.py", "import pluggy", PLUGGY, "goralx.library.questions -> pluggy"),
        (
            "explanation/text.py",
            "from goralx.learning.audit import METRICS",
            FACE,
            "goralx.explanation.text -> goralx.learning.audit",
        ),
        ("a_new_module.py", "pass", LAYERS, "- goralx.a_new_module"),
    ],
)
def test_a_violation_breaks_its_contract(tmp_path, module, line, contract, reported):
    shutil.copytree(ROOT / "goralx", tmp_path / "goralx")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / "goralx" / module).open("a") as file:
        file.write(f"\n\ndef _violation():\n    {line}\n")
    result = lint(tmp_path)
    said = " ".join(result.stdout.split())
    assert result.returncode != 0
    assert f"{contract} BROKEN" in said and reported in said, result.stdout


def test_every_package_has_a_paragraph_a_face_and_a_contract_that_protects_it():
    contracts = (ROOT / "pyproject.toml").read_text()
    for name, face in FACES.items():
        paragraph = (inspect.getdoc(face) or "").split("\n\n")[1]
        assert len(paragraph.split()) > 15, f"{name}: what comes in, what goes out, who may ask?"
        assert face.__all__ and all(hasattr(face, public) for public in face.__all__)
        assert f'name = "{name} is asked by its face"' in contracts


def test_what_packages_ask_of_one_another_is_handed_out():
    for path in PACKAGE:
        own = path.relative_to(ROOT / "goralx").parts[0]
        for module, names in imports(path):
            package = module.removeprefix("goralx.")
            if package in FACES and package != own:
                unknown = set(names) - set(FACES[package].__all__)
                assert not unknown, f"{relative(path)}: {module} does not hand out {unknown}"


def test_every_module_of_the_core_is_protected_but_its_subjects():
    core = ROOT / "goralx" / "core"
    modules = {
        path.stem: ".".join(path.relative_to(core).with_suffix("").parts)
        for path in core.rglob("[a-z]*.py")
    }
    contracts = (ROOT / "pyproject.toml").read_text()
    open_ones = {name for name, at in modules.items() if f'"goralx.core.{at}"' not in contracts}
    assert open_ones == {"cost", "implicit", "influence", "softmax_regression"}


def test_the_core_imports_numpy_scipy_and_itself():
    for path in (ROOT / "goralx" / "core").rglob("*.py"):
        for module, _ in imports(path):
            top = module.partition(".")[0]
            assert top in {"numpy", "scipy"} | sys.stdlib_module_names, (
                f"{relative(path)}: {module}"
            )


@pytest.mark.parametrize("path", PLUGINS, ids=relative)
def test_our_plugins_use_what_anybodys_may(path):
    for module, names in imports(path):
        if module == "goralx":
            unknown = set(names) - set(goralx.__all__)
            assert not unknown, f"{unknown} are not in goralx.__all__"
        elif module.startswith("goralx."):
            face = FACES.get(module.removeprefix("goralx."))
            assert face is not None, f"{module} is not public"
            assert set(names) <= set(face.__all__), f"{module} does not hand out {names}"
    for node in ast.walk(ast.parse(path.read_text())):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "goralx"
        ):
            assert node.attr in goralx.__all__, f"goralx.{node.attr} is not in goralx.__all__"


def test_goralx_never_imports_a_plugin_by_name():
    ours = {path.stem for path in PLUGINS}
    for path in PACKAGE:
        for module, _ in imports(path):
            named = module.startswith(("plugins", "goralx.plugins")) or module in ours
            assert not named, f"{relative(path)} imports {module}"


@pytest.mark.parametrize("path", PACKAGE + PLUGINS, ids=relative)
def test_heavy_packages_are_imported_where_they_are_used(path):
    heavy = [m for m, _ in imports(path, lazy=False) if m.partition(".")[0] in HEAVY]
    assert not heavy, f"imported at the top: {heavy}"


def test_importing_goralx_and_finding_its_plugins_imports_nothing_heavy():
    code = (
        "import sys, goralx, goralx.testing; from goralx.discovery import registry; registry(); "
        f"print(sorted({HEAVY | {'hydra', 'omegaconf', 'tqdm', 'pooch'}!r} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stdout + result.stderr


@pytest.mark.parametrize("path", PACKAGE + PLUGINS, ids=relative)
def test_no_pickle_no_eval_no_global_generator(path):
    modules = {module.partition(".")[0] for module, _ in imports(path)}
    assert not modules & {"pickle", "cloudpickle", "joblib", "dill", "marshal", "shelve"}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in {"eval", "exec", "compile", "np.random.seed"}, called
            given = {k.arg: ast.unparse(k.value) for k in node.keywords}
            assert given.get("allow_pickle", "False") == "False", ast.unparse(node)
        if isinstance(node, ast.ExceptHandler):
            silent = [type(s) for s in node.body] == [ast.Pass]
            assert not (silent and node.type is None), f"line {node.lineno} swallows everything"


def specified_hooks() -> dict[str, object]:
    marker = "goralx_spec"
    return {name: f for name, f in vars(hookspecs).items() if hasattr(f, marker)}


def test_every_group_has_its_hook_and_every_hook_its_group():
    assert set(specified_hooks()) == {*HOOKS.values(), "observe_round"}


@pytest.mark.parametrize("name", specified_hooks())
def test_every_hook_is_documented_typed_and_tested(name):
    hook = specified_hooks()[name]
    assert inspect.getdoc(hook), "a hook says what it is for"
    signature = inspect.signature(hook)
    assert signature.return_annotation is not signature.empty
    assert all(p.annotation is not p.empty for p in signature.parameters.values())
    tested = (ROOT / "tests" / "discovery" / "test_registry.py").read_text()
    assert name == "observe_round" or '@pytest.mark.parametrize("group", HOOKS)' in tested
    assert name != "observe_round" or "def observe_round" in tested


def test_public_names_are_there_sorted_and_documented():
    assert list(goralx.__all__) == sorted(goralx.__all__)
    aliases = {"Array", "Features", "Labels", "Rows"}
    for name in set(goralx.__all__) - aliases - {"hookimpl"}:
        assert inspect.getdoc(getattr(goralx, name)), f"goralx.{name} has no docstring"


def test_the_contributor_s_map_has_every_package():
    drawn = (ROOT / ".github" / "CONTRIBUTING.md").read_text()
    missing = [name for name in FACES if f"| `goralx/{name}/` |" not in drawn]
    assert not missing and "| `goralx/errors.py` |" in drawn
    mirrored = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir()}
    assert {"core", "data", "app", "learning", "records", "library"} <= mirrored
