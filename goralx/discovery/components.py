"""What exists: every component by group and name, who brought it, and how one is built."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import Field, dataclass, field, fields, replace
from typing import Any

import pluggy

from goralx.contracts import Round, origin
from goralx.errors import GoralxError, PluginError, unknown_name

HOOKS = {
    "goal": "register_goals",
    "operator": "register_label_operators",
    "utility": "register_utilities",
    "strategy": "register_strategies",
    "batch": "register_batch_rules",
    "model": "register_models",
    "dataset": "register_datasets",
    "initial": "register_initial_sets",
    "metric": "register_metrics",
    "tracker": "register_trackers",
    "engine": "register_engines",
    "stop": "register_stopping_rules",
    "oracle": "register_oracles",
}
"""Group of components to the hook that fills it."""

METRICS = "metrics"
"""Where metrics are chosen: of them a run has several, of every other group one."""

CHOICES = tuple(group for group in HOOKS if group != "metric")
"""The groups of which a run has one component, each of them chosen by ``<group>=<name>``."""


@dataclass(frozen=True)
class Component:
    """A registered class: its group and name, and which plugin (``origin``) brought it."""

    group: str
    name: str
    cls: type
    origin: str

    @property
    def folder(self) -> str:
        """The configuration group that it is chosen from."""
        return METRICS if self.group == "metric" else self.group

    @property
    def chosen(self) -> str:
        """How it is chosen on the command line."""
        name = f"[{self.name}]" if self.group == "metric" else self.name
        return f"{self.folder}={name}"

    @property
    def prefix(self) -> str:
        """What its options are called by, before the dot."""
        return f"{METRICS}.{self.name}" if self.group == "metric" else self.group

    @property
    def options(self) -> dict[str, Any]:
        """Field names and their types, in order."""
        return {f.name: f.type for f in self.fields}

    @property
    def fields(self) -> list[Field[Any]]:
        """What can be set: its own fields first, then those it shares, near kin before far."""

        def owner(f: Field[Any]) -> int:
            kin = [vars(cls).get("__annotations__", {}) for cls in self.cls.__mro__]
            return max(i for i, annotated in enumerate(kin) if f.name in annotated)

        return sorted((f for f in fields(self.cls) if f.init), key=owner)


@dataclass(frozen=True)
class BrokenPlugin:
    """A plugin that could not be loaded, with the error in a line and in full."""

    name: str
    error: str
    traceback: str = field(repr=False)


@dataclass(frozen=True)
class Registry:
    """Every component by group and name, and the plugins that failed to load."""

    components: Mapping[tuple[str, str], Component]
    broken: tuple[BrokenPlugin, ...]
    manager: pluggy.PluginManager = field(repr=False)

    def names(self, group: str) -> list[str]:
        return sorted(name for g, name in self.components if g == group)

    def component(self, group: str, name: str) -> Component:
        """The component, or `UnknownName` with the names there are and what failed to load."""
        found = self.components.get((group, name))
        if found is None:
            raise unknown_name(group, name, self.names(group), self.hint())
        return found

    def hint(self) -> str:
        """What failed to load, to go behind a name that is not there."""
        return "".join(f" · not loaded: {b.name}: {b.error}" for b in self.broken)

    def build(self, group: str, name: str, options: Mapping[str, Any] | None = None) -> Any:
        """Construct a component; an option it does not have is refused with those it has."""
        component = self.component(group, name)
        given = dict(options or {})
        for option in given:
            if option not in component.options:
                raise unknown_name(f"option of {component.chosen}:", option, component.options)
        try:
            return component.cls(**given)
        except GoralxError:
            raise
        except (TypeError, ValueError) as error:
            raise PluginError(f"{component.chosen}: {error}") from error

    def observe(self, round: Round) -> dict[str, float]:
        """Metrics that plugins add to a round; an error in one of them is raised with its name."""
        metrics: dict[str, float] = {}
        for hook in self.manager.hook.observe_round.get_hookimpls():
            who = f"observe_round of {_origin(hook)}"
            try:
                extra: Any = hook.function(*[_shown(round)] * len(hook.argnames)) or {}
                given = {_metric(name): float(value) for name, value in extra.items()}
            except Exception as error:
                raise PluginError(f"{who}: {type(error).__name__}: {error}") from error
            for name in given:
                if name in metrics or name in round.metrics or name in RESERVED:
                    raise PluginError(
                        f"{who} gives metric '{name}', which is there already; call it otherwise"
                    )
            metrics |= given
        return metrics


RESERVED = ("round", "n_labelled", "seconds/total")
"""Columns of ``rounds.csv`` that are no metrics of the loop's."""


def _shown(round: Round) -> Round:
    """A round whose mappings are nobody else's; its arrays are not to be written to as it is."""
    own = deepcopy({name: getattr(round.checkpoint, name) for name in ("model", "rng_state")})
    checkpoint = replace(round.checkpoint, **own)
    return replace(round, metrics=dict(round.metrics), checkpoint=checkpoint)


def _metric(name: Any) -> str:
    """A name for a column and a curve: it begins with a letter, and all of it can be seen."""
    if isinstance(name, str) and name[:1].isalpha() and name.isprintable():
        return name
    raise ValueError(f"a metric is called {name!r}; begin with a letter, and print in one line")


def _origin(hook: Any) -> str:
    """The plugin that a hook is of: its package or file, and the name it goes by."""
    where = origin(hook.function.__module__)
    return f"plugin '{hook.plugin_name}'" + ("" if where == hook.plugin_name else f" ({where})")
