"""4. Against expected error reduction, which looks ahead by refitting for every label.

scikit-activeml's MonteCarloEER on the whole letter pool as evaluation set. Only a few candidates
are timed; the rest is extrapolated, each costing the same 26 refits and predictions.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from goralx import Candidates, Reference

from .measure import Row, cpu, often, peak
from .problems import Sized, letter

N_LABELLED = 102


def one_round(sized: Sized) -> None:
    """Fit, gradient, solve, every sample under every label."""
    instance, n = sized.instance, N_LABELLED - len(sized.instance.init)
    labelled = instance.labelled(np.concatenate([instance.init, instance.pool[:n]]))
    model = sized.model.fit(labelled, instance.n_classes)
    left = np.arange(n, len(instance.pool))
    sized.utility()(Candidates(Reference(model, instance.pool_X), left, labelled, 0.0))


def monte_carlo(sized: Sized, candidates: int) -> float:
    """Seconds for so many candidates."""
    from skactiveml.classifier import SklearnClassifier
    from skactiveml.pool import MonteCarloEER
    from sklearn.linear_model import LogisticRegression

    instance, K = sized.instance, sized.instance.n_classes
    n = N_LABELLED - len(instance.init)
    rows = np.concatenate([instance.init, instance.pool])
    X, y = instance.X[rows], np.full(len(rows), np.nan)
    y[:N_LABELLED] = instance.y[rows[:N_LABELLED]]
    solver = LogisticRegression(C=sized.C, max_iter=1000)
    model = SklearnClassifier(solver, classes=np.arange(K), random_state=0)
    strategy = MonteCarloEER(method="log_loss", random_state=0)
    asked = len(instance.init) + n + np.arange(candidates)
    return cpu(
        lambda: strategy.query(X=X, y=y, clf=model, candidates=asked, X_eval=X, batch_size=1)
    )


def rows(smoke: bool) -> Iterator[Row]:
    sized, timed = letter(smoke), 1 if smoke else 3
    total = len(sized.instance.pool) - (N_LABELLED - len(sized.instance.init))
    theirs, ours = monte_carlo(sized, timed), sized.single
    yield Row(
        4, "letter: one round over the pool", often(lambda: one_round(ours), 5),
        "scikit-activeml MonteCarloEER", theirs * total / timed, 1e5, ">=",
        peak_mb=peak(lambda: one_round(ours)),
        note=f"{timed} candidates in {theirs:.1f} s, scaled to {total}",
    )  # fmt: skip
