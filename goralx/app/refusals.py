"""What Hydra and OmegaConf refuse, a line each."""

from __future__ import annotations

from hydra.errors import MissingConfigException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    OmegaConfBaseException,
)

from goralx.discovery import CHOICES, METRICS, registry
from goralx.errors import BadInput, GoralxError, as_word, unknown_name

from .choices import names

KINDS = {"Integer": "a whole number", "Float": "a number", "Boolean": "true or false"}


def explain(error: Exception) -> GoralxError:
    """What Hydra or OmegaConf refused, in one line with the names that exist."""
    first = _one_line(str(error).split("\n")[0])
    if isinstance(error, OverrideParseException):
        problem = first.removeprefix(f"Error parsing override '{error.override}'").strip()
        key, _, value = error.override.partition("=")
        return BadInput(f"{error.override} · {problem} · if it is text: {as_word(key, value)}")
    if first.startswith("Ambiguous value for argument "):
        given = first.removeprefix("Ambiguous value for argument ").strip("'")
        return BadInput(f"{given} · one value, or several with -m, or a list in brackets: [a,b]")
    if isinstance(error, MissingConfigException):
        group, _, name = (error.missing_cfg_file or "").rpartition("/")
        known = names(group) if group == METRICS else error.options  # Hydra lists none for several
        if known is not None:
            hint = registry().hint() if group in (*CHOICES, METRICS) else _packages(group)
            return unknown_name("metric" if group == METRICS else group, name, known, hint)
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, OmegaConfBaseException):
        cause = cause.__cause__
    if cause is None:
        return BadInput(_one_line(str(error)))
    for words in ("Error merging override ", "Could not override "):
        first = first.removeprefix(words).strip("'.")
    if isinstance(cause, ConfigAttributeError | ConfigKeyError):
        *parents, key = first.split("=")[0].lstrip("+~").split(".")
        group = parents[0] if len(parents) == 1 else ""
        known = list(cause.parent_node) if isinstance(cause.parent_node, DictConfig) else []
        of_metric = parents[:1] == [METRICS]
        if of_metric and "name" not in known:
            name = [*parents, key][1]
            chosen = ",".join([*known, name])
            return BadInput(f"{first} · {name} is not measured · metrics=[{chosen}] measures it")
        chosen = f"={cause.parent_node['name']}" if "name" in known else ""
        where = f"option of {'.'.join(parents)}{chosen}:" if parents else "option"
        where = f"option of {METRICS}=[{parents[1]}]:" if of_metric else where
        parts = registry().components.items()
        others = sorted(n for (g, n), part in parts if g == group and key in part.options)
        hint = f" · {group}={' or '.join(others)} has it" if others else ""
        return unknown_name(where, key, [k for k in known if k not in ("name", "hydra")], hint)
    problem = _one_line(str(cause.msg).split("\n")[0])
    kind = problem.rpartition(" could not be converted to ")[2]
    if kind in KINDS:
        problem = f"expected {KINDS[kind]}"
    elif "is not a valid bool" in problem:
        problem = f"expected {KINDS['Boolean']}"
    elif "is not a ListConfig" in problem:
        problem = "expected a list in brackets: [a,b]"
    return BadInput(f"{first} · {problem}" if first != problem else problem)


PACKAGES = {
    "hydra/launcher": {
        "joblib": "hydra-joblib-launcher",
        "submitit_local and submitit_slurm": "hydra-submitit-launcher",
        "ray": "hydra-ray-launcher",
    },
    "hydra/sweeper": {"optuna": "hydra-optuna-sweeper", "ax": "hydra-ax-sweeper"},
}
"""What brings more of Hydra's own groups."""


def _packages(group: str) -> str:
    brought = [f"{name} (pip install {p})" for name, p in PACKAGES.get(group, {}).items()]
    return f" · packages of their own bring {', '.join(brought)}" if brought else ""


def _one_line(text: str) -> str:
    return " ".join(text.split())
