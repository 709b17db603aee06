"""``goralx reproduce``: what is missing is run, what is there is drawn and checked, and written."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from goralx.errors import unknown_name
from goralx.report import publish

from . import (
    arm_table,
    conclusions,
    data_claims,
    figures,
    grid,
    learning_claims,
    running,
    studies,
    writing,
)
from .arms import Plan
from .claims import World, check
from .paper import PLANS
from .results import Results

ITEMS = ("table1", *(f"fig{i}" for i in range(1, 10)))
"""What the paper shows, in its order."""

FINDING = "finding"

DATA_SETS = {
    "fig5": "synth2",
    "fig6": "letter",
    "fig7": "letter",
    "fig8": "rt_polarity",
    "fig9": "rt_polarity",
}
"""Whose runs an item needs."""

CURVES = ("fig5", "fig6", "fig8")
"""Items that say what each arm of their data set reached."""

QUICK = 60
"""Queries of a run in short: a first look, whose verdicts are mostly that nothing can be said."""


def check_items(words: Sequence[str]) -> list[str]:
    """The items named, ``all`` (or none) being all of the paper's, in the paper's order."""
    for word in words:
        if word not in (*ITEMS, "all", FINDING):
            raise unknown_name("item", word, [*ITEMS, FINDING, "all"])
    chosen = set(words or ["all"])
    if "all" in chosen:
        chosen |= set(ITEMS)
    return [item for item in (*ITEMS, FINDING) if item in chosen]


@dataclass(frozen=True)
class Reproduction:
    """Where runs are kept and results go, and how much is run.

    ``n_seeds`` None: as many as each data set is planned with. ``quick``: two seeds, few queries,
    small studies. ``run`` False: nothing is run, and what is there speaks. ``command`` is what is
    said of how it was made.
    """

    runs: Path
    out: Path
    command: str
    n_seeds: int | None = None
    quick: bool = False
    run: bool = True
    progress: bool = True

    def plan(self, plan: Plan) -> Plan:
        """A plan with this one's seeds and budget."""
        return plan.within(
            QUICK if self.quick else None, self.n_seeds or (2 if self.quick else None)
        )

    def study(self, study: studies.Quality) -> studies.Quality:
        """A study with this one's draws."""
        if self.quick:
            return study.smaller()
        return replace(study, n_seeds=min(study.n_seeds, self.n_seeds or study.n_seeds))

    def paper(self, items: Sequence[str]) -> list[str]:
        """Run, draw and check these items; the claims in lines of text, what was written last."""
        needed = dict.fromkeys(DATA_SETS[item] for item in items if item in DATA_SETS)
        plans = {name: self.plan(PLANS[name]) for name in PLANS}
        made = {name: self.study(s) for name, s in studies.STUDIES.items() if name in items}
        if self.run:
            running.run_missing([plans[name] for name in needed], self.runs, self.progress)
            studies.run_missing(made.values(), self.runs, self.progress)
        world = World(
            {name: Results(self.runs, plan) for name, plan in plans.items()}, self.runs, made
        )
        self.out.mkdir(parents=True, exist_ok=True)
        every = (*data_claims.claims(), *learning_claims.claims())
        checked = check((claim for claim in every if claim.item in items), world)
        writing.write_claims(self.out / "claims.csv", checked)
        sections = [
            writing.Section(
                writing.TITLES[item],
                writing.NOTES.get(item, ""),
                self._pictures(item, world),
                tuple(c for c in checked if c.claim.item == item),
                self._arms(item, world),
            )
            for item in items
        ]
        writing.write_page(self.out / "index.html", "The paper, reproduced", sections, self.command)
        shown = {name: world.results[name] for name in needed}
        writing.write_provenance(self.out / "made.json", self.command, shown)
        arm_table.write(self.out / "arms.csv", shown)
        rows = [f"  {c.verdict:<15} {c.claim.name}" for c in checked]
        return [*rows, writing.counts(checked), f"  {self.out / 'index.html'}"]

    def _pictures(self, item: str, world: World) -> tuple[Path, ...]:
        """The figure of an item, drawn or taken over from its study."""
        if item in figures.DRAWN:
            dataset, draw = figures.DRAWN[item]
            publish(self.out / item, lambda: draw(world.results[dataset]))
            return (self.out / f"{item}.png",)
        if item not in world.studies:
            return ()
        found = []
        for picture in sorted((world.studies[item].folder(self.runs, 0) / "figures").glob("*.*")):
            path = self.out / f"{item}_{picture.name.removeprefix('approximation_')}"
            shutil.copyfile(picture, path)
            found.append(path)
        return tuple(path for path in found if path.suffix == ".png")

    def _arms(self, item: str, world: World) -> tuple[Sequence[Sequence[str]], ...]:
        """What the arms of an item that shows learning curves reached."""
        if item not in CURVES:
            return ()
        found = arm_table.shown(world.results[DATA_SETS[item]])
        return (found,) if found else ()

    def finding(self) -> list[str]:
        """Run the grid and answer its questions, in ``finding/`` beside the paper's results."""
        plans = {name: self.plan(plan) for name, plan in grid.plans().items()}
        if self.run:
            running.run_missing(list(plans.values()), self.runs / FINDING, self.progress)
        found = {name: Results(self.runs / FINDING, plan) for name, plan in plans.items()}
        return conclusions.write(found, self.out / FINDING, self.command)
