"""Real data sets that come with scikit-learn: nothing to download."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

import goralx
from goralx import Instance


@dataclass(frozen=True)
class Bundled:
    """A data set of scikit-learn's, split at random: test stratified, init balanced over classes.

    ``n_init`` labelled samples to start from, ``n_test`` to test on, the rest is the pool;
    ``standardize`` features over pool and init; ``C``, the regularisation recommended for it.
    """

    n_init: int
    n_test: int
    standardize: bool = True
    C: float = 1.0

    name: ClassVar[str]

    def __post_init__(self) -> None:
        goralx.check_split(self.n_init, self.n_test, self.C)

    def instance(self, rng: np.random.Generator) -> Instance:
        import sklearn.datasets

        bunch = getattr(sklearn.datasets, f"load_{self.name}")()
        return goralx.make_instance(
            self.name,
            bunch.data,
            np.asarray(bunch.target_names)[bunch.target],
            rng=rng,
            n_init=self.n_init,
            n_test=self.n_test,
            standardize=self.standardize,
            source=f"bundled with scikit-learn (load_{self.name})",
        )


@dataclass(frozen=True)
class Digits(Bundled):
    """Handwritten digits: 1,797 images of 8 x 8 pixels, 10 classes (Alpaydin and Kaynak 1998)."""

    n_init: int = 20
    n_test: int = 450
    name: ClassVar[str] = "digits"


@dataclass(frozen=True)
class BreastCancer(Bundled):
    """Breast cancer, Wisconsin diagnostic: 569 samples, 30 features, benign or malignant."""

    n_init: int = 10
    n_test: int = 142
    name: ClassVar[str] = "breast_cancer"


@dataclass(frozen=True)
class Wine(Bundled):
    """Wine: 178 samples, 13 chemical features, 3 cultivars."""

    n_init: int = 6
    n_test: int = 45
    name: ClassVar[str] = "wine"


@dataclass(frozen=True)
class Iris(Bundled):
    """Iris: 150 flowers, 4 features, 3 species (Fisher 1936). Too small for more than a try-out."""

    n_init: int = 6
    n_test: int = 45
    name: ClassVar[str] = "iris"


@goralx.hookimpl
def register_datasets(register):
    for dataset in (Digits, BreastCancer, Wine, Iris):
        register(dataset.name, dataset)
