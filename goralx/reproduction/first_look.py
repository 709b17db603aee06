"""What the data sets themselves must show: Table 1's sizes, and the geometry of synth2 (Fig. 1)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from goralx.contracts import drawn
from goralx.data import Array, Instance, Rows, streams
from goralx.discovery import build


@cache
def instance_of(dataset: str, seed: int) -> Instance:
    """An instance in double precision, without its dev set."""
    return drawn(build("dataset", dataset), streams(seed, "instance"), seed)


def clusters(rows: Rows) -> Array:
    """Of rows of synth2 the names of their pairs: central, distracting or definitive."""
    instance = instance_of("synth2", 0)  # rows are of the same pairs in every seed
    assert instance.group is not None
    named: Array = np.asarray(instance.groups)[instance.group[rows]]
    return named


def sizes(dataset: str) -> dict[str, int]:
    """Of the instance of seed 0, by the columns of Table 1."""
    instance = instance_of(dataset, 0)
    parts = {name: len(getattr(instance, name)) for name in ("pool", "init", "test")}
    return {"classes": instance.n_classes, "features": instance.X.shape[1], **parts}


@dataclass(frozen=True)
class Boundary:
    """The line w.x + b = 0 on which a model of two classes and two features is undecided."""

    w: Array
    b: float

    @property
    def angle(self) -> float:
        """Between the line and the horizontal, in degrees, 0 to 90."""
        return float(np.degrees(np.arctan2(abs(self.w[0]), abs(self.w[1]))))

    def distance(self, X: Array) -> Array:
        """Of points (n, 2) to the line."""
        found: Array = np.abs(X @ self.w + self.b) / np.linalg.norm(self.w)
        return found


@cache
def boundary(seed: int, whole: bool) -> Boundary:
    """Of the model that is fit on synth2's init set, or on init and the whole pool."""
    instance, dataset = instance_of("synth2", seed), build("dataset", "synth2")
    rows = np.concatenate([instance.init, instance.pool]) if whole else instance.init
    model = build("model", "softmax", {"C": dataset.C})
    theta = model.fit(instance.labelled(rows), instance.n_classes).theta
    w = theta[1] - theta[0]
    return Boundary(w[:2], float(w[2]))


def angle(seed: int) -> float:
    """Of the initial boundary, in degrees."""
    return boundary(seed, False).angle


def distance_ratio(seed: int) -> float:
    """How far the distracting samples lie from the true boundary, over the next farther pair."""
    instance = instance_of("synth2", seed)
    distance = boundary(seed, True).distance(np.asarray(instance.X))
    pair = clusters(np.arange(len(instance.y)))
    means = {name: float(distance[pair == name].mean()) for name in np.unique(pair).tolist()}
    farthest = means.pop("distracting")
    return farthest / max(means.values())
