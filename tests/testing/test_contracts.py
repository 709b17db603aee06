"""The shipped checks over everything registered, and proof that each check can fail."""

import os

import pytest

import goralx
import goralx.testing
from goralx.discovery import registry
from goralx.testing import CHECKS, checks

from .broken_components import ALSO_BROKEN, BROKEN, FaultyModel, SoundDataset
from .broken_followers import SoundEngine, SoundTracker

VARIANTS = {
    ("goal", "fir"): [{"include_intercept": False}],
    ("goal", "gce"): [{"q": 1.0}],
    ("goal", "composite"): [{"goals": ("dev", "brier"), "weights": (1.0, -0.5)}],
    ("operator", "annealed"): [{"schedule": "linear", "start": 3.0}],
    ("operator", "estimated"): [
        {"classifier": "neighbors", "smoothing": 0.0},
        {"calibration": "isotonic"},
    ],
    ("operator", "entropic"): [{"beta": -2.0, "belief": "uniform"}],
    ("operator", "ucb"): [{"deviations": -1.0, "belief": "uniform"}],
    ("operator", "ei"): [{"u0": "median"}, {"belief": "uniform"}],
    ("batch", "sequential"): [{"fantasy": "optimistic"}],
    ("batch", "gumbel"): [{"beta": 0.0}],
    ("batch", "kmeanspp"): [{"oversample": 1}],
    ("strategy", "uncertainty"): [{"measure": "entropy"}, {"measure": "least_confident"}],
    ("strategy", "qbc"): [{"measure": "vote_entropy"}],
    ("initial", "stratified"): [{"balanced": True}],
    ("metric", "ece"): [{"bins": 1}],
    ("model", "softmax"): [
        {"C": 0.01},
        {"C": 0.01, "penalize_intercept": True},
        {"C": 0.01, "regime": "fixed_lambda"},
        {"C": 0.01, "regime": "fixed_lambda", "penalize_intercept": True},
    ],
    ("oracle", "noisy"): [
        {"rates": {"a": 0.9}},
        {"confusion": ((0.5, 0.5, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0.1, 0.2, 0.3, 0.4))},
        {"where": "boundary", "rate": 0.3},
    ],
    ("oracle", "abstaining"): [{"where": "boundary", "oracle": "noisy rate=0.5"}],
    ("oracle", "costly"): [{"by": "class", "costs": {"a": 3.0}, "oracle": "abstaining"}],
    ("oracle", "annotators"): [{"each": 1}, {"annotators": ("abstaining rate=1", "noisy")}],
    ("model", "sklearn"): [{"C": 0.01, "regime": "fixed_lambda"}],
}
"""Options beside the defaults, for components whose formulae branch on them."""

IN_GORALX_DATA = {"letter", "rt_polarity"}
IN_RIVER = {"phishing", "segment"}
OF_THE_USER = {"csv", "npy", "npz", "openml", "svmlight", "text"}


def registered():
    for (group, name), component in registry().components.items():
        if component.origin == "goralx" and not name.startswith("skactiveml_"):  # in plugins/
            for options in ({}, *VARIANTS.get((group, name), [])):
                for check in checks(group):
                    label = ",".join(f"{k}={v}" for k, v in options.items())
                    yield pytest.param(
                        group, name, options, check, id=f"{group}-{name}-{label}{check.__name__}"
                    )


@pytest.mark.parametrize("group, name, options, check", list(registered()))
def test_registered(group, name, options, check):
    if group == "dataset" and name in OF_THE_USER:
        pytest.skip(f"{name} reads a file or a site of the user's own")
    if (group, name) == ("oracle", "file"):
        pytest.skip("it reads a file of the user's own")
    if group == "dataset" and name in IN_GORALX_DATA and "GORALX_DATA" not in os.environ:
        pytest.skip(f"{name} needs GORALX_DATA")
    if group == "dataset" and name in IN_RIVER:
        pytest.importorskip("river")
    if (group, name) == ("model", "torch"):
        pytest.importorskip("torch")
    if (group, name) == ("engine", "dask"):
        pytest.importorskip("distributed")
    check(registry().build(group, name, options))


def broken():
    for group, table in BROKEN.items():
        for name, component in table.items():
            yield pytest.param(group, name, component, id=f"{group}-{name}")
    for group, name, component in ALSO_BROKEN:
        yield pytest.param(group, name, component, id=f"{group}-{name}-also")


@pytest.mark.parametrize("group, name, component", list(broken()))
def test_every_check_fails_on_what_breaks_it(group, name, component):
    check = {c.__name__: c for c in checks(group)}[name]
    with pytest.raises(AssertionError) as caught:
        check(component)
    assert len(str(caught.value)) > 20, "the message must tell the author what to do"


@pytest.mark.parametrize("group", CHECKS)
def test_every_check_has_something_that_breaks_it_and_says_what_must_hold(group):
    assert set(BROKEN[group]) == {check.__name__ for check in checks(group)}
    for check in checks(group):
        assert check.__doc__ and check.__doc__.split("\n")[0].endswith((".", ">."))


@pytest.mark.parametrize(
    "group, component",
    [
        ("dataset", SoundDataset()),
        ("model", FaultyModel()),
        ("tracker", SoundTracker()),
        ("engine", SoundEngine()),
    ],
)
def test_what_the_broken_ones_are_made_of_is_sound(group, component):
    for check in checks(group):
        check(component)


def test_running_all_names_each_failed_check_with_its_reason():
    with pytest.raises(AssertionError) as caught:
        goralx.testing.check_goal(BROKEN["goal"]["check_gradient"])
    lines = str(caught.value).splitlines()
    assert lines[0] == f"goal HalfGradient fails 1 of {len(checks('goal'))} checks"
    assert lines[1].startswith("  check_gradient: K=2: the gradient and differences")
    assert isinstance(caught.value.__cause__, ExceptionGroup)


def test_a_component_that_raises_is_a_failure_named_by_its_exception():
    with pytest.raises(AssertionError, match=r"check_rows: AttributeError"):
        goralx.testing.check_strategy(
            BROKEN["strategy"]["check_ground_truth_declared"],
            skip={"check_same_rows_in_another_process"},
        )


def test_a_check_that_does_not_apply_is_skipped_by_name_and_a_misspelt_one_refused():
    one_sided = BROKEN["goal"]["check_class_order"]
    with pytest.raises(AssertionError, match="check_class_order"):
        goralx.testing.check_goal(one_sided)
    goralx.testing.check_goal(one_sided, skip={"check_class_order"})
    with pytest.raises(goralx.UnknownName, match="check_class_order"):
        goralx.testing.check_goal(one_sided, skip={"check_clas_order"})


def test_a_class_will_do_where_it_needs_no_arguments():
    goralx.testing.check_goal(registry().component("goal", "ent").cls)
    goralx.testing.check_label_operator(registry().component("operator", "max").cls)
    goralx.testing.check_utility(registry().component("utility", "influence").cls)
    goralx.testing.check_model(registry().component("model", "softmax").cls)
    goralx.testing.check_dataset(SoundDataset)
    goralx.testing.check_initial_set(registry().component("initial", "kcenter").cls)
    goralx.testing.check_metric(registry().component("metric", "macro_f1").cls)
    goralx.testing.check_tracker(SoundTracker)
    goralx.testing.check_engine(registry().component("engine", "local").cls)


def test_an_unknown_group_is_refused_with_the_groups():
    with pytest.raises(goralx.UnknownName, match=r"did you mean 'goal'.*operator"):
        checks("goals")


def test_a_store_that_somebody_named_is_told_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mine.db")
    monkeypatch.chdir(tmp_path)
    goralx.testing.check_tracker(registry().component("tracker", "mlflow").cls)
    assert list(tmp_path.iterdir()) == []
    assert os.environ["MLFLOW_TRACKING_URI"] == f"sqlite:///{tmp_path}/mine.db"
