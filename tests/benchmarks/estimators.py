"""How near the estimators come to exact retraining, and what each of them costs.

    GORALX_DATA=... python tests/benchmarks/estimators.py [--parts bars,limits,costs] [--seeds 3]

``bars``: every estimator against retraining, RMSE over the standard deviation of the exact
utilities and Spearman, the worst of the seeds, on rt_polarity (50 labels, pool 500) and letter (300
labels, pool 60), for goals ent and dev. ``limits``: Spearman with retraining where the order of
the estimators is not the usual one, on generated classes, mean of the seeds. ``costs``: a round's
utilities of the whole pool at the paper's three sizes, CPU seconds and ratios; what would take too
long is measured on fewer candidates and scaled up. ``retraining``: 500 candidates under both labels
against a loop over scikit-learn. CPU seconds are of one thread. Prints tables, saved as JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr
from threadpoolctl import threadpool_limits

from goralx import Candidates, GoralxError, Reference
from goralx.approximation import Study, draw, numbers
from goralx.core.beyond.retraining import predictions
from goralx.data import Labelled, streams
from goralx.discovery import registry

ESTIMATORS = ("influence", "implicit", "lookahead", "retrain")
OPERATORS = ("oracle", "average", "max", "min", "expected")
GOALS = ("ent", "dev")
BARS = {"implicit": (0.15, 0.985), "lookahead": (0.08, 0.995)}
BARS_EXPECTED = (0.15, 0.98)
LIMITS = (  # classes, features, labels, spread of the centres, C, goal
    (2, 4, 50, 2.0, 1.0, "ent"),
    (2, 4, 50, 2.0, 100.0, "ent"),
    (2, 4, 50, 2.0, 100.0, "dev"),
    (2, 100, 50, 0.4, 100.0, "ent"),
    (2, 100, 50, 0.4, 100.0, "dev"),
    (26, 16, 52, 0.7, 0.01, "eacc"),
    (26, 16, 52, 0.7, 1.0, "eacc"),
)
SIZES = {"synth2": 60, "letter": 152, "rt_polarity": 110}  # labels: the init set and a few batches
ENOUGH = 3.0  # CPU seconds after which a cost is extrapolated


def study(data: str, n: int, n_pool: int, n_dev: int, seed: int) -> Study:
    dataset = registry().build("dataset", data)
    whole = dataset.instance(streams(seed, "instance"))
    return Study(
        draw(whole, n, n_pool, n_dev, streams(seed, "approximation")),
        registry().build("model", "softmax", {"C": dataset.C}),
        {name: registry().build("goal", name) for name in (GOALS if n_dev else GOALS[:1])},
        {name: registry().build("operator", name) for name in OPERATORS},
        registry().build("utility", "influence"),
        seed=seed,
    )


def bars(seeds: int) -> list[dict]:
    """Worst of the seeds for each data set, goal, estimator and operator, and kappa's quantiles."""
    rows = []
    for data, n, n_pool in (("rt_polarity", 50, 500), ("letter", 300, 60)):
        found: dict[tuple[str, str, str], list[tuple[float, float]]] = {}
        kappa = []
        for seed in range(seeds):
            made = study(data, n, n_pool, 200, seed)
            exact: dict[str, list[np.ndarray]] = {goal: [] for goal in GOALS}
            for block in made.blocks():
                for goal, U in made.actual(block).items():
                    exact[goal].append(U)
            for estimator in ESTIMATORS[:-1]:
                tried = replace(made, estimator=registry().build("utility", estimator))
                if estimator == "implicit":
                    kappa.append(np.quantile(tried.estimates["ent"].trust, [0.5, 0.95, 1.0]))
                for goal in GOALS:
                    for c in tried.compare(goal, 1, np.concatenate(exact[goal])):
                        row = numbers(c)
                        key = (goal, estimator, c.operator)
                        found.setdefault(key, []).append((row["rmse_over_sd"], row["spearman"]))
        quantiles = np.max(kappa, axis=0).tolist()
        for (goal, estimator, operator), pairs in found.items():
            rmse, spearman = np.array(pairs).T
            bar = BARS_EXPECTED if operator == "expected" else BARS.get(estimator)
            met = None
            if estimator in BARS:
                met = bool(rmse.max() <= bar[0] and spearman.min() >= bar[1])
            rows.append(
                {
                    "data": data,
                    "goal": goal,
                    "estimator": estimator,
                    "operator": operator,
                    "rmse_over_sd": rmse.tolist(),
                    "spearman": spearman.tolist(),
                    "met": met,
                    "kappa_median_q95_max": quantiles,
                }
            )
    return rows


def limits(seeds: int) -> list[dict]:
    """Classes far apart under weak penalties, and many classes with two labels each."""
    rows = []
    for K, d, n, apart, C, goal in LIMITS:
        found: dict[tuple[str, str], list[float]] = {}
        kappa = []
        for seed in range(seeds):
            U, kappas, log_P = generated(seed, K, d, n, apart, C, goal)
            kappa.append(float(np.median(kappas)))
            for name, operator in product(ESTIMATORS[:-1], ("average", "max")):
                resolve = registry().build("operator", operator)
                ranks = [resolve(U[each], log_P, None, 0.0) for each in (name, "retrain")]
                found.setdefault((operator, name), []).append(float(spearmanr(*ranks)[0]))
        for operator in ("average", "max"):
            rows.append(
                {"classes": K, "features": d, "labels": n, "C": C, "goal": goal}
                | {"operator": operator, "kappa": float(np.mean(kappa))}
                | {name: float(np.mean(found[operator, name])) for name in ESTIMATORS[:-1]}
            )
    return rows


def generated(
    seed: int, K: int, d: int, n: int, apart: float, C: float, goal_name: str
) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """U of 80 candidates by every estimator, their kappa and log P; classes are Gaussians."""
    rng = np.random.default_rng(seed)
    centres = apart * rng.normal(size=(K, d))
    y = np.concatenate([np.arange(K), rng.integers(0, K, size=n - K + 230)])
    X = centres[y] + rng.normal(size=(len(y), d))
    model, labelled = registry().build("model", "softmax", {"C": C}), Labelled(X[:n], y[:n])
    fit = model.fit(labelled, K)
    pool = Reference(fit, X[n : n + 80])
    asked = Candidates(pool, np.arange(80), labelled, 0.0)
    goal = registry().build("goal", goal_name)
    reference = pool if goal.reference == "pool" else Reference(fit, X[n + 80 :], y[n + 80 :])
    estimates = {
        name: registry().build("utility", name).utilities(asked, goal, reference, regime="fixed_C")
        for name in ESTIMATORS
    }
    U = {name: estimate.U for name, estimate in estimates.items()}
    return U, estimates["implicit"].trust, pool.log_P


def cost(made: Study, estimator: str, n_candidates: int) -> float:
    """CPU seconds for ent's utilities of so many candidates, its reference the whole pool."""
    whole = made.candidates
    fresh = made.model.fit(whole.labelled, made.instance.n_classes)  # nothing kept from before
    pool = Reference(fresh, made.instance.pool_X)
    asked = Candidates(pool, whole.rows[:n_candidates], whole.labelled, 0.0)
    component = registry().build("utility", estimator)
    began = time.process_time()
    component.utilities(asked, made.goals["ent"], pool, regime=made.model.regime)
    return time.process_time() - began


def costs() -> list[dict]:
    rows = []
    for data, n in SIZES.items():
        whole = registry().build("dataset", data).instance(streams(0, "instance"))
        n_pool = len(whole.init) + len(whole.pool) - n
        made = study(data, n, n_pool, 0, 0)
        cheapest = None
        for estimator in ESTIMATORS:
            cost(made, estimator, 2)  # what is loaded or allocated once
            asked, least = min(8, n_pool), 0.0
            few = cost(made, estimator, asked)
            seconds, measured = few, asked
            while measured < n_pool and seconds < ENOUGH:
                least, fewer = seconds, measured
                measured = min(n_pool, 4 * measured)
                seconds = cost(made, estimator, measured)
            if measured < n_pool:
                each = (seconds - least) / (measured - fewer)
                seconds += each * (n_pool - measured)
            cheapest = cheapest or seconds
            rows.append(
                {
                    "data": data,
                    "classes": whole.n_classes,
                    "labels": n,
                    "pool": n_pool,
                    "estimator": estimator,
                    "seconds": seconds,
                    "ratio": seconds / cheapest,
                    "measured_on": measured,
                }
            )
    return rows


def retraining() -> list[dict]:
    """Exact retraining of 500 candidates under both labels, ours and scikit-learn's."""
    from sklearn.linear_model import LogisticRegression

    made = study("rt_polarity", 50, 500, 0, 0)
    model, pool = made.candidates.model, made.instance.pool_X.astype(np.float64)
    labelled, regime = made.candidates.labelled, made.model.regime
    X, Y = np.repeat(pool, 2, axis=0)[:, None, :], np.tile([0, 1], len(pool))[:, None]
    model.retrained(X[:2], Y[:2], regime)
    began = time.process_time()
    fresh = made.model.fit(labelled, 2)
    changes = fresh.retrained(X, Y, regime)
    ours = time.process_time() - began
    log_P = predictions(fresh.expansion(regime), pool, fresh.log_proba(pool), changes)
    P = np.array([np.exp(each[:, 1]) for each in log_P])
    rows = [
        {"solver": "goralx", "refits": len(Y), "seconds": ours, "ratio": 1.0, "difference": 0.0}
    ]
    for name, tolerance in (
        ("scikit-learn, default tol", 1e-4),
        ("scikit-learn, tol 1e-10", 1e-10),
    ):
        solver = LogisticRegression(C=2 * made.model.C, tol=tolerance, max_iter=100_000)
        largest = spent = 0.0
        for x, y, mine in zip(X, Y, P, strict=True):
            together = np.concatenate([labelled.X.astype(np.float64), x])
            started = time.process_time()
            solver.fit(together, np.append(labelled.y, y))
            spent += time.process_time() - started
            largest = max(largest, float(np.abs(solver.predict_proba(pool)[:, 1] - mine).max()))
        rows.append(
            {
                "solver": name,
                "refits": len(Y),
                "seconds": spent,
                "ratio": spent / ours,
                "difference": largest,
            }
        )
    return rows


def bars_table(rows: list[dict]) -> list[dict]:
    """The worst of the seeds, operators across: RMSE/sd and Spearman, ! where a bar is missed."""
    table: dict[tuple, dict] = {}
    kappa: dict[str, str] = {}
    for row in rows:
        key = row["data"], row["goal"], row["estimator"]
        line = table.setdefault(key, dict(zip(("data", "goal", "estimator"), key)))
        missed = "!" if row["met"] is False else ""
        rmse, spearman = max(row["rmse_over_sd"]), min(row["spearman"])
        line[row["operator"]] = f"{rmse:.3f} {spearman:.3f}{missed}"
        kappa[row["data"]] = "  ".join(f"{k:.2f}" for k in row["kappa_median_q95_max"])
    return [{**line, "kappa: median, q95, max": kappa[line["data"]]} for line in table.values()]


def shown(rows: list[dict]) -> str:
    columns = list(rows[0])
    lines = [[_cell(row[c]) for c in columns] for row in rows]
    widths = [max(len(line[i]) for line in [columns, *lines]) for i in range(len(columns))]
    return "\n".join(
        "  ".join(cell.ljust(w) for cell, w in zip(line, widths)).rstrip()
        for line in [columns, *lines]
    )


def _cell(value: float | str) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", default="bars,limits,costs,retraining")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("outputs/benchmarks/estimators.json"))
    asked = parser.parse_args()
    parts = {
        "bars": lambda: bars(asked.seeds),
        "limits": lambda: limits(asked.seeds),
        "costs": costs,
        "retraining": retraining,
    }
    found = {}
    with threadpool_limits(limits=1):
        for name in asked.parts.split(","):
            began = time.perf_counter()
            found[name] = parts[name]()
            rows = bars_table(found[name]) if name == "bars" else found[name]
            print(f"\n{name}, {time.perf_counter() - began:.0f} s\n{shown(rows)}", flush=True)
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_text(json.dumps(found, indent=2), encoding="utf-8")
    print(f"\n{asked.out}")


if __name__ == "__main__":
    try:
        main()
    except GoralxError as error:
        raise SystemExit(f"estimators: {error}") from None
