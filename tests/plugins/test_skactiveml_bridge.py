"""scikit-activeml's strategies through the bridge, against themselves and against ours."""

from __future__ import annotations

import inspect
import subprocess
import sys
from dataclasses import fields

import numpy as np
import pytest
from scipy.stats import entropy

from goralx import BadInput, Incompatible, Query
from goralx.discovery import registry
from goralx.testing import checks
from goralx.testing.strategies import check_same_rows_in_another_process
from tests.plugins.test_diverse import asked
from tests.plugins.test_informative import members_of
from tests.problems import build

pool = pytest.importorskip("skactiveml.pool")

NAMES = [name for _, name in registry().components if name.startswith("skactiveml_")]
TWO_CLASSES = {"skactiveml_epistemicuncertaintysampling"}
REFITS = {"skactiveml_montecarloeer", "skactiveml_valueofinformationeer"}
LEFT_OUT = {
    "not a strategy of its own": {
        "ExpectedErrorReduction", "ParallelUtilityEstimationWrapper", "SubSamplingWrapper"
    },
    "for regression": {
        "ExpectedModelChangeMaximization", "ExpectedModelOutputChange", "GreedySamplingTarget",
        "ExpectedModelVarianceReduction", "GreedySamplingX", "KLDivergenceMaximization",
        "RegressionTreeBasedAL",
    },
}  # fmt: skip


def cls_of(name):
    return registry().component("strategy", name).cls


def test_every_strategy_of_the_installed_version_is_there_or_left_out_for_a_reason():
    theirs = {
        name
        for name in pool.__all__
        if inspect.isclass(getattr(pool, name)) and hasattr(getattr(pool, name), "query")
    }
    ours = {cls_of(name).__name__ for name in NAMES}
    assert ours | set().union(*LEFT_OUT.values()) == theirs
    assert not ours & set().union(*LEFT_OUT.values())


@pytest.mark.parametrize("name", NAMES)
def test_options_are_theirs_with_their_defaults(name):
    theirs = inspect.signature(getattr(pool, cls_of(name).__name__)).parameters
    for option in fields(cls_of(name)):
        if option.name != "members":
            assert theirs[option.name].default == option.default


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", sorted({*NAMES} - REFITS - TWO_CLASSES))
def test_they_keep_the_contract_of_a_strategy(name):
    strategy = build("strategy", name)
    for check in checks("strategy"):
        if check is not check_same_rows_in_another_process:  # of one: it takes seconds
            check(strategy)


def test_another_process_chooses_the_same():
    check_same_rows_in_another_process(build("strategy", "skactiveml_dropquery"))


@pytest.mark.parametrize("name", sorted(REFITS))
def test_those_that_refit_are_small_and_the_same_again(name):
    strategy = build("strategy", name)
    first, again = (strategy.select(asked(2, K=2, N=4)) for _ in range(2))
    assert len(set(first.rows.tolist())) == 2
    assert first.rows.tolist() == again.rows.tolist()
    np.testing.assert_array_equal(first.utility, again.utility)


def test_expected_error_is_of_the_run_s_own_model():
    query = asked(1, K=2, N=4)
    selection = build("strategy", "skactiveml_montecarloeer").select(query)
    candidates, errors = query.candidates, []
    everybody = np.concatenate([candidates.labelled.X, query.X])
    for i, x in enumerate(query.X):
        error = 0.0
        for label in range(2):
            more = type(candidates.labelled)(x[None], np.array([label]))
            known = candidates.labelled.and_(more)
            fit = candidates.learner.fit(known, 2)
            doubt = 1.0 - np.exp(fit.log_proba(everybody)).max(axis=1)
            error += np.exp(query.log_P[i, label]) * doubt.sum()
        errors.append(error)
    np.testing.assert_allclose(selection.utility, -np.array(errors), rtol=1e-6)


def by_themselves(theirs, query, **models):
    """What a strategy of theirs says by itself of the candidates, in their own order: (N,)."""
    known = query.candidates.labelled
    X = np.concatenate([known.X, query.X])
    y = np.concatenate([known.y.astype(float), np.full(len(query.X), np.nan)])
    return theirs.query(X, y, return_utilities=True, **models)[1][0, len(known) :]


@pytest.mark.parametrize(
    "name, K", [("ProbabilisticAL", 3), ("ProbabilisticAL", 2), ("EpistemicUncertaintySampling", 2)]
)
def test_a_parzen_window_is_asked_where_counts_are_needed(name, K):
    from skactiveml.classifier import ParzenWindowClassifier

    window = ParzenWindowClassifier(classes=list(range(K)))
    expected = by_themselves(getattr(pool, name)(), asked(K=K), clf=window)
    selections = [build("strategy", f"skactiveml_{name.lower()}").select(asked(K=K)) for _ in "ab"]
    np.testing.assert_allclose(selections[0].utility, expected, rtol=1e-6, atol=1e-9)
    assert np.ptp(expected) > 0
    assert selections[0].rows.tolist() == selections[1].rows.tolist()


def test_a_mixture_is_asked_where_densities_are_needed():
    from skactiveml.classifier import MixtureModelClassifier

    query = asked()
    seed = build("strategy", "skactiveml_fourds").select(query) and query.seed
    mixture = MixtureModelClassifier(classes=[0, 1, 2], random_state=seed)
    order = asked().rng.permutation(len(query.X))
    known = query.candidates.labelled
    X = np.concatenate([known.X, query.X[order]])
    y = np.concatenate([known.y.astype(float), np.full(len(order), np.nan)])
    places = pool.FourDs(random_state=seed).query(X, y, clf=mixture, batch_size=query.batch_size)
    found = build("strategy", "skactiveml_fourds").select(asked())
    assert found.rows.tolist() == order[places - len(known)].tolist()


def test_cost_embedding_is_theirs_and_leaves_the_global_generator_alone():
    expected = by_themselves(pool.CostEmbeddingAL([0, 1, 2], random_state=0), asked())
    before = np.random.get_state()  # noqa: NPY002 - what is to be left alone
    selection = build("strategy", "skactiveml_costembeddingal").select(asked())
    assert np.random.get_state()[2] == before[2]  # noqa: NPY002
    assert np.corrcoef(selection.utility, expected)[0, 1] > 0.9  # another start of the scaling


def test_more_classes_than_two_are_refused_by_name():
    with pytest.raises(Incompatible, match=r"skactiveml_epistemicuncertainty.*two-class"):
        build("strategy", "skactiveml_epistemicuncertaintysampling").select(asked(K=3))


@pytest.mark.parametrize("method", ["entropy", "least_confident", "margin_sampling"])
def test_uncertainty_is_that_of_the_fit_there_is(method):
    ours = {"margin_sampling": "margin"}.get(method, method)
    theirs = build("strategy", "skactiveml_uncertaintysampling", method=method).select(asked())
    selection = build("strategy", "uncertainty", measure=ours).select(asked())
    assert theirs.rows.tolist() == selection.rows.tolist()
    difference = theirs.utility - selection.utility
    np.testing.assert_allclose(difference, difference[0], atol=1e-6)


def test_their_core_set_is_ours():
    for seed in range(3):
        rows = build("strategy", "skactiveml_coreset").select(asked(5, seed=seed)).rows
        assert (
            rows.tolist() == build("strategy", "kcenter").select(asked(5, seed=seed)).rows.tolist()
        )


def test_a_committee_is_of_fits_to_bootstrap_samples():
    query = asked(rng_seed=3)
    selection = build("strategy", "skactiveml_querybycommittee", members=3).select(query)
    rng = np.random.default_rng(3)
    rng.permutation(len(query.candidates))
    rng.integers(2**31 - 1)
    P = members_of(query, 3, rng)
    expected = [np.mean([entropy(p, P[:, i].mean(axis=0)) for p in P[:, i]]) for i in range(14)]
    np.testing.assert_allclose(selection.utility, expected, rtol=1e-4, atol=1e-6)


def test_what_they_refuse_is_a_line_and_sparse_features_are_refused_by_name():
    with pytest.raises(Incompatible, match=r"strategy=skactiveml_uncertaintysampling: .*doubt"):
        build("strategy", "skactiveml_uncertaintysampling", method="doubt").select(asked())
    with pytest.raises(Incompatible, match=r"strategy=skactiveml_coreset .*sparse"):
        build("strategy", "skactiveml_coreset").select(asked(sparse=True))


def test_without_the_package_a_line_names_the_extra(monkeypatch):
    theirs = cls_of("skactiveml_badge").__post_init__.__globals__  # its module may be loaded twice
    monkeypatch.setitem(theirs, "find_spec", lambda name: None)
    with pytest.raises(BadInput, match=r"strategy=skactiveml_badge .*goralx\[skactiveml\]"):
        build("strategy", "skactiveml_badge")


def test_nothing_is_imported_until_it_is_asked():
    code = (
        "import sys; from goralx.discovery import build; build('strategy', 'skactiveml_badge'); "
        "sys.exit('skactiveml' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_everybody_left_can_be_asked():
    query = asked(14)
    everybody = build("strategy", "skactiveml_badge").select(
        Query(query.candidates, 14, np.random.default_rng(0))
    )
    assert sorted(everybody.rows.tolist()) == list(range(14))
