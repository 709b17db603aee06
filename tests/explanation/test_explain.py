"""Why these samples: what a round's choice rests on, from the record and from arrays."""

from __future__ import annotations

import contextlib
import csv
import json
import shutil
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import spearmanr

import goralx
from goralx import BadInput, Incompatible
from goralx.app.cli import main
from goralx.app.configuration import NEEDED
from goralx.explanation import explained_round
from goralx.explanation.decomposition import contributions
from goralx.explanation.explained_round import explain_round
from tests import runs
from tests.problems import Setting, blobs, build
from tests.program import call
from tests.reference import GOALS

ESTIMATORS = ("influence", "implicit", "lookahead", "retrain")
SETTINGS = [(2, "fixed_C", False), (3, "fixed_lambda", True)]


def asked(setting):
    pool = goralx.Reference(setting.fit, setting.pool)
    return goralx.Candidates(pool, setting.rows, setting.labelled, 0.0)


def shares_and_utilities(setting, estimator, goal, reference, **options):
    chosen, judge = asked(setting), build("utility", estimator, **options)
    goal = build("goal", goal) if isinstance(goal, str) else goal
    shares = contributions(judge, chosen, goal, reference, regime=setting.regime)
    return shares, judge.utilities(chosen, goal, reference, regime=setting.regime).U


def reference_of(setting, goal, rows=slice(None)):
    X, y = setting.reference_set(goal)
    return goralx.Reference(setting.fit, X[rows], None if y is None else y[rows])


# --- a utility as a sum over reference samples -------------------------------------------------


@pytest.mark.parametrize("K, regime, intercept", SETTINGS)
@pytest.mark.parametrize("goal", GOALS)
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_contributions_add_up_to_the_utilities(estimator, goal, K, regime, intercept):
    setting = Setting(K, regime, intercept)
    reference = reference_of(setting, goal)
    shares, U = shares_and_utilities(setting, estimator, goal, reference)
    assert shares.shape == (3, K, len(reference.X))
    np.testing.assert_allclose(shares.sum(axis=2), U, atol=1e-5 * np.abs(U).max())


@pytest.mark.parametrize("K, regime, intercept", SETTINGS)
@pytest.mark.parametrize("goal", ["ent", "fir"])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_contributions_add_up_where_candidates_are_reference_samples(
    estimator, goal, K, regime, intercept
):
    chosen = asked(Setting(K, regime, intercept))
    built, judge = build("goal", goal), build("utility", estimator)
    shares = contributions(judge, chosen, built, chosen.pool, regime=regime)
    U = judge.utilities(chosen, built, chosen.pool, regime=regime).U
    np.testing.assert_allclose(shares.sum(axis=2), U, atol=1e-5 * np.abs(U).max())


@pytest.mark.parametrize("goal", GOALS)
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_each_contribution_is_the_utility_were_the_goal_measured_there_alone(estimator, goal):
    setting = Setting(3, "fixed_C", False)
    reference = reference_of(setting, goal)
    shares, U = shares_and_utilities(setting, estimator, goal, reference)
    scale = len(reference.X) if goal == "fir" else 1  # a mean
    for u in (0, 3, 8):
        _, alone = shares_and_utilities(
            setting, estimator, goal, reference_of(setting, goal, slice(u, u + 1))
        )
        np.testing.assert_allclose(scale * shares[..., u], alone, atol=1e-5 * np.abs(U).max())


@pytest.mark.parametrize("goal", ["dev", "ent"])
def test_contributions_to_retraining_are_those_of_a_refit(goal):
    setting = Setting(3, "fixed_C", False)
    shares, _ = shares_and_utilities(setting, "retrain", goal, reference_of(setting, goal))
    X, y = setting.reference_set(goal)
    for i, label in ((0, 2), (2, 0)):
        refit = setting.refit([(setting.pool[setting.rows[i]], label)], 1.0 / setting.n)
        for u in range(len(X)):
            at = X[[u]], None if y is None else y[[u]]
            change = GOALS[goal](refit, *at) - GOALS[goal](setting.optimum, *at)
            assert shares[i, label, u] == pytest.approx(change, abs=1e-5)


def test_a_goal_without_gradient_is_shared_out_by_its_values():
    setting = Setting(3, "fixed_C", False)
    reference = reference_of(setting, "dev")
    shares, U = shares_and_utilities(setting, "retrain", "accuracy", reference)
    assert U.any()
    np.testing.assert_allclose(shares.sum(axis=2), U, atol=1e-12)
    assert set(np.unique(np.round(shares * len(reference.X), 9))) <= {-1.0, 0.0, 1.0}


def test_samples_of_a_goal_that_interact_share_the_change():
    @dataclass(frozen=True)
    class SquaredMean(goralx.LogitGoal):
        """The squared mean of P(class 0)."""

        def value_and_logit_gradient(self, log_P, X, y):
            P = np.exp(log_P)
            mean = P[:, 0].mean()
            return mean**2, 2 * mean / len(P) * P[:, :1] * (np.eye(P.shape[1])[0] - P)

    setting = Setting(3, "fixed_C", False)
    shares, U = shares_and_utilities(
        setting, "lookahead", SquaredMean(), reference_of(setting, "ent")
    )
    np.testing.assert_allclose(shares.sum(axis=2), U, atol=1e-5 * np.abs(U).max())


def test_a_goal_that_is_no_sum_is_refused():
    @dataclass(frozen=True)
    class Worst(goralx.PredictionGoal):
        """The smallest P(class 0)."""

        def value(self, log_P, X, y):
            return float(log_P[:, 0].min())

    setting = Setting(2, "fixed_C", False)
    with pytest.raises(Incompatible, match="Worst is no sum"):
        shares_and_utilities(setting, "lookahead", Worst(), reference_of(setting, "ent"))


def test_a_sampled_reference_is_shared_out_as_the_whole():
    setting = Setting(2, "fixed_C", False)
    reference = reference_of(setting, "ent")
    whole, _ = shares_and_utilities(setting, "lookahead", "ent", reference)
    part, _ = shares_and_utilities(setting, "lookahead", "ent", reference, reference_size=5)
    np.testing.assert_array_equal(part, whole)


# --- arrays in, an explanation out -------------------------------------------------------------


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X, y = blobs(rng, 90, 3, 3)
    return X[:20], np.array(["c", "a", "b"])[y[:20]], X[20:]


def test_the_library_tells_worth_ranks_and_disagreement(data):
    X, y, pool = data
    chosen = goralx.query(X, y, pool, batch_size=3)
    found = goralx.explain(X, y, pool, chosen)
    U = goralx.utilities(X, y, pool, per_label=True)
    assert found.classes.tolist() == ["a", "b", "c"] and found.labels is None
    np.testing.assert_array_equal(found.chosen, chosen)
    np.testing.assert_array_equal(found.U, U[chosen])
    assert found.rank.tolist() == [1, 2, 3]
    assert found.operators[0] == found.operator == "max" and "oracle" not in found.operators
    for name in ("min", "laplace"):
        o = found.operators.index(name)
        utility = goralx.utilities(X, y, pool, operator=name)
        np.testing.assert_allclose(found.resolved[o], utility[chosen])
        order = np.argsort(-utility).tolist()
        assert found.ranks[o].tolist() == [order.index(i) + 1 for i in chosen]
        assert found.agreement[o] == pytest.approx(spearmanr(utility, U.max(axis=1)).statistic)
    vacuous = found.operators.index("expected")  # Remark 1
    assert not found.ranks[vacuous].any() and np.isnan(found.agreement[vacuous])


def test_who_gains_and_who_loses_most_first(data):
    X, y, pool = data
    found = goralx.explain(X, y, pool, [4])
    label = int(found.shown[0])
    assert label == found.U[0].argmax()
    gaining, losing = found.movers(0, label, 4)
    share = found.contributions[0, label]
    assert share[gaining].tolist() == sorted(share, reverse=True)[:4]
    assert share[losing].tolist() == sorted(share)[:4]
    assert sum(found.moved(0, label)) == pytest.approx(found.U[0, label])
    assert np.abs(found.unexplained).max() < 1e-8 * np.abs(found.U).max()


def test_a_dev_goal_is_explained_by_its_dev_samples(data):
    X, y, pool = data
    dev = pool[:7], np.array(["b", "a", "b", "c", "a", "b", "a"])
    found = goralx.explain(
        X, y, pool, 0, goal="dev", operator="average", utility="lookahead", X_dev=dev[0],
        y_dev=dev[1],
    )  # fmt: skip
    assert found.contributions.shape == (1, 3, 7)
    assert found.classes[found.reference_y].tolist() == dev[1].tolist()
    assert found.trust is not None and found.trust.shape == (1,)


def test_a_criterion_that_asks_no_label_has_gains_only(data):
    X, y, pool = data
    found = goralx.explain(X, y, pool, [3, 5], goal="firatio")
    assert found.operators == () and found.ranks.shape == (0, 2)
    assert "no reference sample has a share" in found.indivisible
    np.testing.assert_array_equal(found.utility, found.U[:, 0])
    assert np.isnan(found.unexplained).all() and np.isnan(found.moved(0, 0)).all()


def test_a_screened_sample_that_was_not_looked_at_is_explained_too(data):
    X, y, pool = data
    judge = build("utility", "lookahead", screen=5)
    worst = int(goralx.utilities(X, y, pool).argmin())
    found = goralx.explain(X, y, pool, worst, utility=judge)
    assert (found.n_ranked, found.n_candidates) == (6, 70)
    assert np.isfinite(found.utility).all() and 1 <= found.rank[0] <= 6


@pytest.mark.parametrize("chosen", [[], [70], [-1], [0.5], [[1]], ["a"]])
def test_indices_that_are_none_are_refused(data, chosen):
    with pytest.raises(BadInput, match="row numbers of X_pool, 0 to 69"):
        goralx.explain(*data, chosen)


# --- a round of a recorded run -----------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run of three rounds, of which the last only measures; not to be written to."""
    return recorded(tmp_path_factory.mktemp("explain"), "goal=dev", "operator=average")


def recorded(folder, *words):
    options = ("dataset=iris", "n_queries=10", "batch_size=5", "tracker=csv", "progress=false")
    with contextlib.chdir(folder):
        assert main([*options, "audit.every=0", "hydra.run.dir=run", *words]) == 0
    return folder / "run"


@pytest.fixture
def copy(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    return tmp_path / "run"


def queries(directory, round):
    with (directory / "queries.csv").open() as file:
        return [row for row in csv.DictReader(file) if row["round"] == str(round)]


@pytest.mark.parametrize("round, words", [(1, ()), (0, ("--round", "0"))])
def test_a_round_is_explained_as_it_was_recorded(copy, capsys, round, words):
    done = call(capsys, "explain", str(copy), "--json", *words)
    assert done.status == 0 and done.err == ""
    found, asked = json.loads(done.out), queries(copy, round)
    folder = copy / "explanations" / f"round_{round}"
    assert json.loads((folder / "explanation.json").read_text()) == found
    assert (folder / "explanation.png").read_bytes().startswith(b"\x89PNG")
    assert found["round"] == round and found["refit"] and found["reproduced"]
    assert found["queried"] == [int(row["pool_id"]) for row in asked]
    instance = np.load(copy / "instance.npz")
    for sample, row in zip(found["samples"], asked, strict=True):
        assert (str(sample["pool_id"]), sample["label"]) == (row["pool_id"], row["label"])
        assert sample["utility"] == pytest.approx(float(row["utility"]), rel=1e-5)
        assert sum(sample["predicted"].values()) == pytest.approx(1)
        assert np.mean(list(sample["utilities"].values())) == pytest.approx(sample["utility"])
        told = sample["operators"]["oracle"]["utility"]
        assert told == sample["utilities"][row["label"]]
        assert sample["gained"] + sample["lost"] == pytest.approx(told)
        assert all(m["id"] in instance["dev"] for m in sample["gains"] + sample["losses"])
    assert [sample["rank"] for sample in found["samples"]] == [1, 2, 3, 4, 5]
    with (folder / "explanation.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["pool_id"] for row in rows] == [row["pool_id"] for row in asked]
    assert {"label", "p/setosa", "utility/virginica", "rank/max", "resolved/min"} <= set(rows[0])


def test_the_table_names_samples_operators_and_reference_samples(copy, capsys):
    done = call(capsys, "explain", str(copy), "--samples", "2")
    asked = queries(copy, 1)
    assert done.status == 0 and "reproduces the recorded utilities" in done.out
    assert asked[0]["pool_id"] in done.out and asked[2]["pool_id"] + " " not in done.out
    for words in ("operator average", "oracle", "dev set (10 samples)", " net", " down"):
        assert words in done.out
    lines = done.out.splitlines()
    assert str(copy / "explanations" / "round_1") in lines[-1]
    assert all(line == line.rstrip() for line in lines)


def test_samples_by_id(copy, capsys):
    ids = [row["pool_id"] for row in queries(copy, 1)]
    done = call(capsys, "explain", str(copy), "--json", "--samples", f"{ids[3]},{ids[1]}")
    assert [s["pool_id"] for s in json.loads(done.out)["samples"]] == [int(ids[3]), int(ids[1])]
    done = call(capsys, "explain", str(copy), "--json", "--samples", f"{ids[4]},")
    assert [s["pool_id"] for s in json.loads(done.out)["samples"]] == [int(ids[4])]


def test_utilities_that_were_changed_are_refused(copy, capsys):
    with np.load(copy / "utilities.npz") as stored:
        arrays = dict(stored)
    arrays["utility"] = arrays["utility"] * 1.01
    np.savez(copy / "utilities.npz", **arrays)
    done = call(capsys, "explain", str(copy))
    assert done.status == 2 and "utilities.npz" in done.err


def test_utilities_that_are_not_those_of_the_fit_are_said_so(copy, capsys, monkeypatch):
    recorded = explained_round._recorded_utility
    off = lambda *asked: 1.01 * recorded(*asked)  # noqa: E731
    monkeypatch.setattr(explained_round, "_recorded_utility", off)
    done = call(capsys, "explain", str(copy))
    assert done.status == 0 and "NOT REPRODUCED" in done.out
    done = call(capsys, "explain", str(copy), "--json")
    assert json.loads(done.out)["reproduced"] is False


def test_the_last_round_of_a_run_cut_short_has_its_own_model(tmp_path):
    def fail(round):
        if round.index == 2:
            raise OSError("disk gone")
        return {}

    experiment = runs.experiment(n_queries=30)
    with pytest.raises(OSError, match="disk gone"):
        runs.run(tmp_path / "cut", experiment, observe=fail)
    info = runs.info(tmp_path / "cut", experiment)
    last, first = explain_round(experiment, info), explain_round(experiment, info, 0)
    assert (last.round, last.refit, last.n_labelled) == (
        1,
        False,
        len(experiment.instance.init) + 5,
    )
    assert (first.round, first.refit) == (0, True)
    assert last.reproduced and first.reproduced


@pytest.mark.parametrize(
    "words, said",
    [
        (("--round", "7"), "--round 7: the run has rounds 0 to 2 · rounds with queries: 0 to 1"),
        (("--round", "2"), "that round only measured, it queried nothing · rounds with queries"),
        (("--round", "-1"), "the run has rounds 0 to 2"),
        (("--round", "one"), "invalid int value"),
        (("--samples", "9"), "round 1 queried 5 samples · give 1 to 5, or a pool id"),
        (("--samples", "x"), "give a number, or pool ids with commas"),
        (("--samples", "100000,"), "round 1 did not query 100000 · it queried"),
    ],
)
def test_what_is_not_there_is_refused_in_a_line(run, capsys, words, said):
    done = call(capsys, "explain", str(run), *words)
    assert done.status == 2 and done.out == ""
    assert len(done.errors) == 1 and said in done.err
    assert not (run / "explanations").exists()


def test_a_folder_without_a_run_and_a_study_are_refused(tmp_path, capsys):
    done = call(capsys, "explain", str(tmp_path / "nothing"))
    assert done.status == 2 and len(done.errors) == 1 and "holds no run" in done.err
    hydra = tmp_path / "study" / ".hydra"
    hydra.mkdir(parents=True)
    groups = "".join(f"{group}: {{name: x}}\n" for group in NEEDED)
    (hydra / "config.yaml").write_text(f"job: approximation\n{groups}")
    (hydra / "hydra.yaml").write_text("hydra: {mode: RUN, runtime: {cwd: .}}\n")
    done = call(capsys, "explain", str(tmp_path / "study"))
    assert done.status == 2 and "holds a study, which has no rounds" in done.err


@pytest.mark.parametrize("strategy, scores", [("random", False), ("uncertainty", True)])
def test_a_strategy_without_a_goal_is_refused_with_its_own_scores(
    tmp_path, capsys, strategy, scores
):
    directory = recorded(tmp_path, f"strategy={strategy}")
    done = call(capsys, "explain", str(directory))
    assert done.status == 2 and len(done.errors) == 1
    assert f"strategy {strategy} asks no goal" in done.err
    assert ("its own scores: " in done.err) == scores
    if scores:
        first = queries(directory, 1)[0]
        assert f"{first['pool_id']}: {float(first['utility']):.4g}" in done.err


@pytest.mark.filterwarnings("ignore::goralx.scoring.VacuousUtility")
@pytest.mark.parametrize(
    "words, said",
    [
        pytest.param(("operator=expected",), "these were drawn at random", id="vacuous"),
        pytest.param(("goal=aopt",), "no reference sample has a share", id="design"),
        pytest.param(
            ("utility=lookahead", "utility.reference_size=9", "utility.screen=20"),
            "(20 looked at)", id="sampled",
        ),
    ],
)  # fmt: skip
def test_odd_rounds_say_what_is_odd_and_are_drawn(tmp_path, capsys, words, said):
    directory = recorded(tmp_path, *words)
    done = call(capsys, "explain", str(directory))
    assert done.status == 0 and said in done.out
    assert (directory / "explanations" / "round_1" / "explanation.png").stat().st_size > 5000


def test_other_data_are_noticed(run):
    experiment = runs.experiment()
    tags = {"goralx.fingerprint": "0" * 64, "goralx.operator": "max"}
    info = SimpleNamespace(directory=run, tags=tags, inputs="", sources={})
    with pytest.raises(BadInput, match="other options or other data"):
        explain_round(experiment, info)
