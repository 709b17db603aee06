"""synth2 (Sec. 6.2, Fig. 1): six clusters in the plane; two of them mislead the first model."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np

import goralx
from goralx import BadInput, Instance


@dataclass(frozen=True)
class Synth2:
    """A reconstruction of the paper's synth2: it prints no coordinates, only what they lead to.

    Three pairs of Gaussian clusters. Options give the centre of each pair's positive cluster and
    the standard deviation; the negative cluster is its mirror image through the origin. Central:
    the init set, half of it from each, suggests a nearly horizontal boundary. Distracting: upper
    left and lower right, farthest from the true boundary. Definitive: upper right and lower left.

    Rows come cluster by cluster, ``per_cluster`` of each, in the order central +, central -,
    distracting +, distracting -, definitive +, definitive -: row r lies in cluster
    ``r // per_cluster``, its group is called as the pair and its class as the sign. The test set is
    ``test_per_cluster`` of each, the rest is the pool: of the 530 samples in it by default, 170 are
    central.
    """

    central_x: float = 0.0
    central_y: float = 2.0
    central_sigma: float = 0.3
    distracting_x: float = -4.0
    distracting_y: float = 5.0
    distracting_sigma: float = 0.5
    definitive_x: float = -3.0
    definitive_y: float = -5.0
    definitive_sigma: float = 0.5
    per_cluster: int = 100
    test_per_cluster: int = 10
    n_init: int = 10
    C: float = 0.1

    def __post_init__(self) -> None:
        goralx.check_split(self.n_init, self.test_per_cluster, self.C)
        for field in fields(self):
            value = getattr(self, field.name)
            if not math.isfinite(value) or (field.name.endswith("sigma") and value < 0):
                raise BadInput(f"dataset.{field.name}={value}; a finite number, sigma at least 0")
        left = 2 * (self.per_cluster - self.test_per_cluster)
        if self.n_init % 2 or not self.n_init < left:
            raise BadInput(
                f"dataset.n_init={self.n_init}; an even number below the {left} samples that "
                "per_cluster and test_per_cluster leave in the two central clusters"
            )

    def instance(self, rng: np.random.Generator) -> Instance:
        pairs = (
            (self.central_x, self.central_y, self.central_sigma),
            (self.distracting_x, self.distracting_y, self.distracting_sigma),
            (self.definitive_x, self.definitive_y, self.definitive_sigma),
        )
        centres = [(sign * x, sign * y, sigma) for x, y, sigma in pairs for sign in (1, -1)]
        X = np.concatenate(
            [rng.normal((x, y), sigma, (self.per_cluster, 2)) for x, y, sigma in centres]
        )
        y = np.tile(np.repeat([1, 0], self.per_cluster), 3)
        drawn = [c * self.per_cluster + rng.permutation(self.per_cluster) for c in range(6)]
        test = np.concatenate([rows[: self.test_per_cluster] for rows in drawn])
        init = np.concatenate(
            [rows[self.test_per_cluster :][: self.n_init // 2] for rows in drawn[:2]]
        )
        pool = np.setdiff1d(np.arange(len(X)), np.concatenate([test, init]))
        return Instance(
            name="synth2",
            X=X,
            y=y,
            classes=("negative", "positive"),
            init=np.sort(init),
            pool=pool,
            test=np.sort(test),
            dev=np.empty(0, dtype=np.int64),
            source="generated: a reconstruction of synth2 (Sec. 6.2), not the paper's own samples",
            group=np.repeat(np.arange(3), 2 * self.per_cluster),
            groups=("central", "distracting", "definitive"),
        )


@goralx.hookimpl
def register_datasets(register):
    register("synth2", Synth2)
