"""Real data sets that come inside the package river (extra ``data``), read as files.

Nothing of river is imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

import numpy as np

import goralx
from goralx import BadInput, Instance


@dataclass(frozen=True)
class Packaged:
    """A table of river's, split at random: test stratified, init balanced over classes.

    ``n_init`` labelled samples to start from, ``n_test`` to test on, the rest is the pool;
    ``standardize`` features over pool and init; ``C``, the regularisation recommended for it.
    """

    n_init: int
    n_test: int
    standardize: bool = True
    C: float = 1.0

    name: ClassVar[str]
    file: ClassVar[str]
    label: ClassVar[str]

    def __post_init__(self) -> None:
        goralx.check_split(self.n_init, self.n_test, self.C)

    def instance(self, rng: np.random.Generator) -> Instance:
        import pandas

        frame = pandas.read_csv(self._path())
        return goralx.make_instance(
            self.name,
            frame.drop(columns=self.label).to_numpy(dtype=np.float64),
            frame[self.label].astype(str).to_numpy(),
            rng=rng,
            n_init=self.n_init,
            n_test=self.n_test,
            standardize=self.standardize,
            source=f"{self.file}, in the package river",
        )

    def _path(self) -> Path:
        river = find_spec("river")
        if river is None or not river.submodule_search_locations:
            raise BadInput(
                f"dataset={self.name} lies in the package river, which is not installed · "
                "pip install 'goralx[data]'"
            )
        return Path(river.submodule_search_locations[0]) / "datasets" / self.file


@dataclass(frozen=True)
class Segment(Packaged):
    """Image segments: 2,310 patches of outdoor images, 18 features, 7 classes (UCI, Statlog)."""

    n_init: int = 14
    n_test: int = 600
    name: ClassVar[str] = "segment"
    file: ClassVar[str] = "segment.csv.zip"
    label: ClassVar[str] = "category"


@dataclass(frozen=True)
class Phishing(Packaged):
    """Phishing: 1,250 web pages, 9 features, phishing or not (Abdelhamid et al. 2014, UCI)."""

    n_init: int = 10
    n_test: int = 312
    name: ClassVar[str] = "phishing"
    file: ClassVar[str] = "phishing.csv.gz"
    label: ClassVar[str] = "is_phishing"


@goralx.hookimpl
def register_datasets(register):
    for dataset in (Segment, Phishing):
        register(dataset.name, dataset)
