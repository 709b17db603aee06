"""Records of runs that never ran: what a comparison reads, with curves chosen by the test."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from goralx.records import write_csv, write_json, write_npz

GOAL = {"goal": "ent", "operator": "max", "utility": "influence", "batch": "top"}


def curve(seed, level=0.9, rate=0.1, n_rounds=8, noise=0.01, name="random"):
    """An accuracy that rises to ``level``; each seed and strategy its own."""
    rng = np.random.default_rng([seed, *name.encode()])
    rise = 1 - np.exp(-rate * np.arange(n_rounds) * 5)
    return 0.4 + (level - 0.4) * rise + noise * rng.normal(size=n_rounds)


def record(
    folder, seed=0, strategy="random", dataset="wine", accuracy=None, status="finished",
    full=0.95, truth=False, dev_labels=0, n_dev=0, batch_size=5, n_init=10, goals=None,
    instance=None, queried=None, versions=None, config=None, tags=None, summary=None,
    columns=None, **chosen,
):  # fmt: skip
    """Write one record into ``folder``, and return the folder."""
    folder = Path(folder)
    (folder / ".hydra").mkdir(parents=True)
    accuracy = curve(seed, name=strategy) if accuracy is None else np.asarray(accuracy)
    n = n_init + batch_size * np.arange(len(accuracy))
    asks = strategy == "goral"
    choice = {**GOAL, **chosen}
    rng = np.random.default_rng([seed, 7])
    rows = rng.permutation(200)
    parts = instance or {"init": rows[:n_init], "pool": rows[n_init:150], "test": rows[150:]}
    parts = {name: np.asarray(values, dtype=np.int64) for name, values in parts.items()}
    parts.setdefault("dev", parts["pool"][:n_dev])
    if queried is None:
        queried = np.random.default_rng([seed, *strategy.encode(), *choice["operator"].encode()])
        queried = queried.permutation(parts["pool"])[: n[-1] - n_init]
    columns = (columns or {}) | {
        "round": np.arange(len(n)),
        "n_labelled": n,
        "test/accuracy": accuracy,
        "test/log_loss": 1.5 - accuracy,
        "goal/ent": -10.0 * (1 - accuracy),
        **{f"goal/{name}": values for name, values in (goals or {}).items()},
        "change/predicted": np.where(np.arange(len(n)) > 0, 1.0, np.nan) if asks else n * np.nan,
        "change/realised": np.r_[np.nan, np.diff(-10.0 * (1 - accuracy))],
        **{f"utility/q{q}": n * np.nan for q in ("000", "005", "025", "050", "075", "095", "100")},
        "audit/spearman": np.where(np.arange(len(n)) % 3 == 0, 0.8, np.nan) if asks else n * np.nan,
        "trust/kappa_q050": n * np.nan,
        "seconds/fit": 0.01 * np.ones(len(n)),
        "seconds/score": 0.02 * np.ones(len(n)),
        "seconds/total": 0.05 * np.arange(1, len(n) + 1),
    }
    if asks:
        for q in ("000", "005", "025", "050", "075", "095", "100"):
            columns[f"utility/q{q}"] = np.r_[(int(q) - 50) / (n[:-1] * 10.0), np.nan]
    cells = [["" if np.isnan(v) else repr(float(v)) for v in row] for row in zip(*columns.values())]
    write_csv(folder / "rounds.csv", [list(columns), *cells])
    round_of = np.repeat(np.arange(len(n) - 1), batch_size)
    lines = [[int(r), int(i), "a", ""] for r, i in zip(round_of, queried)]
    write_csv(folder / "queries.csv", [["round", "pool_id", "label", "utility"], *lines])
    write_npz(folder / "instance.npz", parts)
    groups = {"strategy": strategy, **choice, "dataset": dataset}
    write_json(
        folder / "summary.json",
        {
            "status": status,
            "name": f"{dataset}-{strategy}-s{seed}",
            "directory": str(folder),
            "started": "2026-01-01T00:00:00+00:00",
            "fingerprint": f"{abs(hash((strategy, tuple(choice.items()), dataset, seed))):064x}",
            "dev_labels_used": dev_labels,
            "uses_ground_truth": truth,
            "full_pool": None if full is None else {"accuracy": full},
            "versions": versions or {"goralx": "0.1.0", "numpy": "2.0.0"},
            "tags": {
                **{f"goralx.{group}": name for group, name in groups.items()},
                "goralx.seed": str(seed),
                **(tags or {}),
            },
            "config": {
                **{group: {"name": name} for group, name in groups.items()},
                "model": {"name": "softmax", "C": 1.0},
                "batch_size": batch_size,
                "seed": seed,
                **(config or {}),
            },
            "seconds": {"total": 0.05 * len(n), "fit": 0.01 * len(n), "score": 0.02 * len(n)},
            **(summary or {}),
        },
    )
    return folder


ARMS = {
    "random": {"strategy": "random", "rate": 0.06},
    "uncertainty": {"strategy": "uncertainty", "rate": 0.08},
    "ent max": {"strategy": "goral", "operator": "max", "rate": 0.11},
    "ent oracle": {"strategy": "goral", "operator": "oracle", "truth": True, "rate": 0.2},
}


def sweep(folder, seeds=range(8), datasets=("iris", "wine"), arms=ARMS, **options):
    """A sweep of these arms; accuracies rise at rates of their own."""
    for dataset in datasets:
        for name, arm in arms.items():
            given = {k: v for k, v in arm.items() if k != "rate"}
            for seed in seeds:
                accuracy = curve(seed, rate=arm.get("rate", 0.1), name=f"{name} {dataset}")
                record(
                    folder / f"{dataset}-{name}-{seed}", seed, dataset=dataset, accuracy=accuracy,
                    **{**given, **options},
                )  # fmt: skip
    return folder


def folders(sweep_folder):
    return sorted(path.parent for path in Path(sweep_folder).rglob("summary.json"))
