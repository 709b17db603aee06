"""``goralx new-plugin NAME --goal``: a package that works as it is, for an author to change."""

from __future__ import annotations

import importlib.util
import keyword
import re
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goralx import escaping
from goralx.discovery import HOOKS, registry
from goralx.errors import BadInput

from .shared import FINISHED, Parser

TEMPLATES = Path(__file__).parent / "new_plugin_templates"


@dataclass(frozen=True)
class Kind:
    """A kind of component: what it is called, its class of checks, and an option out of range."""

    noun: str
    contract: str
    refused: str

    @property
    def one(self) -> str:
        """The noun with its article."""
        return f"{'an' if self.noun[0] in 'aeio' else 'a'} {self.noun}"


KINDS = {
    "goal": Kind("goal", "GoalContract", "weight=-1.0"),
    "operator": Kind("label operator", "LabelOperatorContract", "hope=2.0"),
    "strategy": Kind("strategy", "StrategyContract", "temperature=0.0"),
    "metric": Kind("metric", "MetricContract", "k=0"),
    "model": Kind("model", "ModelContract", "strength=0.0"),
    "dataset": Kind("data set", "DatasetContract", "n_samples=10"),
    "initial": Kind("initial set", "InitialSetContract", "share=0.0"),
    "utility": Kind("utility estimator", "UtilityContract", "screen=0"),
    "batch": Kind("batch rule", "BatchRuleContract", "oversample=0"),
    "stop": Kind("stopping rule", "StoppingRuleContract", "rounds=0"),
    "oracle": Kind("oracle", "OracleContract", "rate=2.0"),
    "tracker": Kind("tracker", "TrackerContract", 'path="run.txt"'),
    "engine": Kind("engine", "EngineContract", "workers=0"),
}
"""By configuration group, which is also the flag."""

RUN = {
    "goal": "goal={name}",
    "operator": "operator={name}",
    "strategy": "strategy={name}",
    "metric": "metrics=[{name}]",
    "model": "model={name} strategy=uncertainty",
    "dataset": "dataset={name}",
    "initial": "initial={name}",
    "utility": "utility={name}",
    "batch": "batch={name}",
    "stop": "stop={name}",
    "oracle": "oracle={name}",
    "tracker": "tracker={name}",
    "engine": "engine={name}",
}
"""What a run with the component is asked for by."""


def new_plugin(words: list[str]) -> int:
    """``goralx new-plugin NAME --goal``."""
    parser = Parser(
        prog="goralx new-plugin",
        description="Write ./NAME: a package with a component that works, a README, and tests that "
        "run every check of its contract.",
    )
    parser.add_argument("name", metavar="NAME", help="of the component, and of the package")
    kinds = parser.add_mutually_exclusive_group(required=True)
    for group, kind in KINDS.items():
        kinds.add_argument(
            f"--{group}", dest="group", action="store_const", const=group, help=kind.one
        )
    asked = parser.parse_args(words)
    folder = write(asked.name, asked.group, Path.cwd())
    run = commands(asked.name, asked.group)
    escaping.say(
        f"{folder.name}/ is written: {KINDS[asked.group].one} that works, in "
        f"src/{asked.name}.py\n\n"
        f"  cd {folder.name}\n"
        "  python -m pytest                              # its contract, check by check\n"
        f"  GORALX_PLUGINS=src {run}\n"
        "  pip install -e .                              # and goralx finds it anywhere"
    )
    return FINISHED


def commands(name: str, group: str) -> str:
    """A run with the component, as a command line."""
    data = "" if group == "dataset" else " dataset=iris"
    return f"goralx {RUN[group].format(name=name)}{data} n_queries=30"


def write(name: str, group: str, parent: Path) -> Path:
    """Write the package into ``parent``: whole, or not at all; returns its folder."""
    _check_name(name, group)
    folder = parent / name
    if folder.exists() or folder.is_symlink():
        raise BadInput(f"{folder} is there already · choose another name, or move it away")
    with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=parent) as begun:
        for path, text in files(name, group).items():
            target = Path(begun, name, path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        shutil.move(Path(begun, name), folder)
    return folder


def files(name: str, group: str) -> dict[str, str]:
    """Its files: path to text."""
    import jinja2

    kind = KINDS[group]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,
    )
    refused = kind.refused.partition("=")[0]
    known: dict[str, Any] = {
        "name": name,
        "package": f"goralx-{name.replace('_', '-')}",
        "cls": _class_name(name),
        "group": group,
        "kind": kind.one,
        "hook": HOOKS[group],
        "contract": kind.contract,
        "refused": kind.refused,
        "option": f"{f'metrics.{name}' if group == 'metric' else group}.{refused}",
        "run": commands(name, group),
    }
    templates = {
        "pyproject.toml": "pyproject.toml.j2",
        "README.md": "README.md.j2",
        ".gitignore": "gitignore.j2",
        f"src/{name}.py": f"components/{group}.py.j2",
        f"tests/test_{name}.py": "test.py.j2",
    }
    return {path: environment.get_template(t).render(known) for path, t in templates.items()}


def _class_name(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def _check_name(name: str, group: str) -> None:
    """A name that a module, a component and a package can go by, and that nobody has yet."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or keyword.iskeyword(name):
        raise BadInput(
            f"NAME {name!r}; allowed: small letters, digits and single underscores, a letter "
            "first, and no word of Python's"
        )
    found = registry().components.get((group, name))
    if found is not None:
        raise BadInput(f"{group} '{name}' is there already, from {found.origin} · choose another")
    if name in sys.stdlib_module_names or importlib.util.find_spec(name) is not None:
        raise BadInput(f"a module '{name}' is installed already · choose another name")
