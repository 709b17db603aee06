"""The paper's two sizes: letter as it is, and rt-polarity's 9,586 samples with 768 features.

Both are read from GORALX_DATA. Of rt-polarity 384 features are real (sentence embeddings); the
other 384 are a fixed random layer over them, because what counts here is the size. ``smoke`` draws
small synthetic problems of the same shapes and needs no data.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import goralx
from goralx import GoalOrientedUtility, Instance
from goralx.discovery import registry


@dataclass(frozen=True)
class Sized:
    """An instance, its C, and how many rounds of ten a run has."""

    instance: Instance
    C: float
    rounds: int
    repeats: int

    @property
    def single(self) -> Sized:
        """The same with features in single precision, as runs have them unless told otherwise."""
        return replace(self, instance=self.instance.in_single())

    def utility(
        self,
        goal: str = "ent",
        utility: str = "influence",
        operator: str = "average",
        **options: int,
    ) -> GoalOrientedUtility:
        """The goal under an operator, with a dev set for a dev goal, and an estimator."""
        build, instance = registry().build, self.instance
        chosen = build("goal", goal)
        dev = instance.labelled(instance.dev) if chosen.reference == "dev" else None
        l_y, estimator = build("operator", operator), build("utility", utility, options)
        truth, first_order = instance.y[instance.pool], build("utility", "influence")
        return GoalOrientedUtility(
            chosen, l_y, estimator, self.model, dev, pool_y=truth, first_order=first_order
        )

    @property
    def model(self) -> goralx.Model:
        model: goralx.Model = registry().build("model", "softmax", {"C": self.C})
        return model


def letter(smoke: bool) -> Sized:
    """14,948 x 16, 26 classes."""
    if smoke:
        return Sized(_synthetic(26, 16, 700, 52), 1.0, 5, 1)
    lines = np.loadtxt(_data() / "letter" / "letter-recognition.data", delimiter=",", dtype=str)
    X, y = lines[:, 1:].astype(float), lines[:, 0]
    return Sized(_instance("letter", X, y, 52, 5000, standardize=True), 1.0, 100, 5)


def rt_polarity(smoke: bool) -> Sized:
    """9,586 x 768, two classes."""
    if smoke:
        return Sized(_synthetic(2, 96, 400, 10), 0.1, 5, 1)
    with np.load(_data() / "rt-polarity" / "minilm_cls.npz") as stored:
        real, y = stored["X"].astype(float), stored["y"]
    d = real.shape[1]
    layer = np.random.default_rng(5).normal(size=(d, d)) / np.sqrt(d)
    X = np.hstack([real, 2.0 * np.tanh(real @ layer)])
    return Sized(_instance("rt_polarity", X, y, 10, 1066, standardize=False), 0.1, 100, 3)


def _instance(
    name: str, X: np.ndarray, y: np.ndarray, n_init: int, n_test: int, *, standardize: bool
) -> Instance:
    rng = np.random.default_rng(0)
    drawn = goralx.make_instance(
        name, X, y, rng=rng, n_init=n_init, n_test=n_test, standardize=standardize
    )
    return drawn.with_dev(0.1, np.random.default_rng(1))


def _synthetic(K: int, d: int, total: int, n_init: int) -> Instance:
    rng = np.random.default_rng(0)
    y = np.arange(total) % K
    X = 2.0 * rng.normal(size=(K, d))[y] + rng.normal(size=(total, d))
    return _instance("synthetic", X, y, n_init, total // 5, standardize=True)


def _data() -> Path:
    folder = os.environ.get("GORALX_DATA")
    if not folder:
        raise SystemExit(
            "GORALX_DATA is not set · the folder of letter and rt-polarity, or --smoke"
        )
    return Path(folder)
