"""What is run, as data: an arm is one strategy on one data set, with everything that it depends on.

Arms of one data set share instances seed by seed, so that whatever is compared is paired.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

Options = Mapping[str, Mapping[str, Any]]

PRESET = ("letter", "rt_polarity", "synth2")
"""Data sets with an experiment of their own in conf/, which sets C."""

ASKING = ("goral", "shuffled")
"""Strategies that ask a utility, and so depend on operator, utility and batch."""


@dataclass(frozen=True)
class Setting:
    """A data set and what all its arms share.

    Every arm measures ``monitors`` and so has the same dev set, whether it uses its labels or not:
    ``dev_fraction`` of the pool, which stays in it unless ``dev_removed``.
    """

    dataset: str
    n_queries: int
    batch_size: int = 10
    monitors: tuple[str, ...] = ("dev", "ent", "fir")
    dev_fraction: float = 0.1
    dev_removed: bool = False

    @property
    def instances(self) -> tuple[str, float, bool]:
        """What its instances depend on, beside the seed."""
        return self.dataset, self.dev_fraction, self.dev_removed


@dataclass(frozen=True)
class Arm:
    """A strategy in a setting, by the names of its components; ``options`` are those of groups.

    ``dev_use`` "train" adds the dev labels to training, before the first query.
    """

    setting: Setting
    name: str
    strategy: str = "goral"
    goal: str = "dev"
    operator: str = "max"
    utility: str = "influence"
    batch: str = "top"
    options: Options = field(default_factory=dict)
    dev_use: str = "goal"

    def identity(self) -> dict[str, Any]:
        """All that determines its results beside the seed, as JSON knows it."""
        values: dict[str, Any] = {
            **asdict(self),
            "options": {k: dict(v) for k, v in self.options.items()},
        }
        values["setting"]["monitors"] = list(self.setting.monitors)
        return values

    def folder(self, runs: Path, seed: int) -> Path:
        """Where the run of this seed is kept; settings that differ by batch size lie apart."""
        dataset = f"{self.setting.dataset}-b{self.setting.batch_size}"
        return runs / dataset / self.name / f"seed-{seed:03d}"

    def command(self) -> str:
        """The command line that runs it, without the seed.

        Of dev labels that are trained on no goal can be measured: then none is.
        """
        s, trains = self.setting, self.dev_use == "train"
        goal = "ent" if trains else self.goal
        monitors = [name for name in s.monitors if not (trains and name == "dev")]
        asked = ("operator", "utility", "batch") if self.strategy in ASKING else ()
        options = ((group, *pair) for group, own in self.options.items() for pair in own.items())
        words = [
            f"{'experiment' if s.dataset in PRESET else 'dataset'}={s.dataset}",
            f"strategy={self.strategy}",
            f"goal={goal}",
            *(f"{group}={getattr(self, group)}" for group in asked),
            *(f"{group}.{key}={value}" for group, key, value in options),
            f"n_queries={s.n_queries}",
            f"batch_size={s.batch_size}",
            f"monitors=[{','.join(monitors)}]",
            f"dev.fraction={s.dev_fraction:.6g}",
            f"dev.remove_from_pool={str(s.dev_removed).lower()}",
            f"dev.use={self.dev_use}",
            "audit.every=0",
        ]
        return " ".join(["goralx", *words])


@dataclass(frozen=True)
class Plan:
    """Arms and how many seeds they are run with, from 0 on."""

    arms: tuple[Arm, ...]
    n_seeds: int

    def within(self, n_queries: int | None, n_seeds: int | None) -> Plan:
        """The same with a smaller budget or other seeds."""
        arms = self.arms
        if n_queries is not None:
            arms = tuple(
                replace(
                    arm,
                    setting=replace(arm.setting, n_queries=min(n_queries, arm.setting.n_queries)),
                )
                for arm in arms
            )
        return Plan(arms, n_seeds or self.n_seeds)


def named(arms: Iterable[Arm]) -> dict[str, Arm]:
    """Arms by name."""
    return {arm.name: arm for arm in arms}
