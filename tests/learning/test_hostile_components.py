"""Components that break the contract: named, with their package, and nobody else is harmed."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

import goralx
from goralx import PluginError
from goralx.contracts import origin
from goralx.discovery import registry
from tests import problems

HERE = re.escape(__file__)
INSTANCE = problems.instance()


def finish(**options):
    built = problems.experiment(INSTANCE, batch_size=4, n_queries=8, **options)
    return list(built.rounds())


# --- what components are given, they cannot change ---------------------------------------------


@dataclass(frozen=True)
class Vandal(goralx.LogitGoal):
    """Writes into one of its arguments."""

    argument: int = 0

    def value_and_logit_gradient(self, log_P, X, y):
        (log_P, X)[self.argument][...] = 0.0
        return 0.0, np.zeros_like(log_P)


@pytest.mark.parametrize("argument", [0, 1])
@pytest.mark.parametrize("as_monitor", [True, False])
def test_a_goal_cannot_write_into_what_it_is_given(argument, as_monitor):
    vandal = Vandal(argument)
    says = rf"goal Vandal \({HERE}\): value_and_logit_gradient \(line \d+\): .*read-only.*copy"
    with pytest.raises(PluginError, match=says):
        if as_monitor:
            experiment = problems.experiment(INSTANCE, batch_size=4, n_queries=8)
            monitors = {"a": vandal, **experiment.monitors}
            list(replace(experiment, monitors=monitors).rounds())
        else:
            finish(goal=vandal)


@dataclass(frozen=True)
class Operator(goralx.LabelOperator):
    def __call__(self, U, log_P, y_true, progress):
        U -= 1.0
        return U.max(axis=1)


def test_an_operator_cannot_either():
    with pytest.raises(PluginError, match=rf"operator Operator \({HERE}\).*read-only"):
        finish(operator=Operator())


SHARED = {
    "theta": lambda query: query.candidates.model.theta,
    "log_P": lambda query: query.log_P,
    "pool's log_P": lambda query: query.candidates.pool.log_P,
    "X": lambda query: query.X,
    "pool's X": lambda query: query.candidates.pool.X,
    "rows": lambda query: query.candidates.rows,
    "labels": lambda query: query.candidates.labelled.y,
    "labelled X": lambda query: query.candidates.labelled.X,
    "U": lambda query: query.scores.U,
    "utility": lambda query: query.scores.utility,
}


@pytest.mark.parametrize("of", SHARED.values(), ids=SHARED)
def test_a_strategy_cannot_write_into_anything_it_can_reach(of):
    @dataclass(frozen=True)
    class Writer(goralx.Strategy):
        uses_goal: ClassVar[bool] = True

        def select(self, query):
            of(query)[...] = 0
            return query.top(np.zeros(len(query.candidates)))

    with pytest.raises(PluginError, match=r"strategy Writer \(.*read-only"):
        finish(strategy=Writer())


def test_an_observer_cannot_change_the_round_it_is_told_of():
    found = next(iter(problems.experiment(INSTANCE, batch_size=4, n_queries=8).rounds()))
    for array in (found.pool_ids, found.utility, found.queried, found.labels, found.theta):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


@pytest.mark.parametrize("name", ["round", "n_labelled", "seconds/total", "test/accuracy"])
def test_an_observer_cannot_overwrite_a_column(name, tmp_path):
    with pytest.raises(PluginError, match=rf"observe_round of plugin .*'{name}'.*otherwise"):
        observed(tmp_path, f"{{{name!r}: -1.0}}")


@pytest.mark.parametrize("name", ["", "=1+1", "a\nb", "\x1b[31m", 7])
def test_a_metric_has_a_name(name, tmp_path):
    with pytest.raises(PluginError, match=r"plug\.py.*a metric is called"):
        observed(tmp_path, f"{{{name!r}: 1.0}}")


def test_what_an_observer_does_to_mappings_stays_with_it(tmp_path):
    found, metrics = observed(
        tmp_path,
        "(round.metrics.clear(), round.checkpoint.rng_state.clear(), "
        "round.checkpoint.model.clear()) and {}",
    )
    assert metrics == {} and found.metrics and found.checkpoint.model
    assert found.checkpoint.rng_state["bit_generator"]


def observed(folder, gives):
    """A round, and what a plugin file says of it."""
    from goralx.discovery.loading import load

    (folder / "plug.py").write_text(
        f"import goralx\n\n\n@goralx.hookimpl\ndef observe_round(round):\n    return {gives}\n"
    )
    found = next(iter(problems.experiment(INSTANCE, batch_size=4, n_queries=8).rounds()))
    return found, load(folder / "none", [folder], []).observe(found)


# --- what they give is held against the contract -----------------------------------------------


@dataclass(frozen=True)
class Gives(goralx.LogitGoal):
    value_: object = 0.0
    gradient: object = None

    def value_and_logit_gradient(self, log_P, X, y):
        gradient = np.zeros_like(log_P) if self.gradient is None else self.gradient(log_P)
        return self.value_, gradient

    __hash__ = object.__hash__


GOALS = {
    "NaN": (Gives(float("nan")), "the value is nan"),
    "infinite": (Gives(float("inf")), "the value is inf"),
    "text": (Gives("much"), "the value is str 'much'"),
    "nothing": (Gives(None), "the value is NoneType"),
    "flat": (Gives(0.0, lambda P: P[:, 0]), r"the logit gradient is an array .*\(\d+, 3\)"),
    "transposed": (Gives(0.0, lambda P: P.T), "the logit gradient"),
    "NaN slope": (Gives(0.0, lambda P: np.full(P.shape, np.nan)), r"nan at \(0, 0\)"),
    "a list": (Gives(0.0, lambda P: [0.0]), "the logit gradient is list"),
    "objects": (Gives(0.0, lambda P: P.astype(object)), "the logit gradient is an array of object"),
}


@pytest.mark.parametrize("goal, says", GOALS.values(), ids=GOALS)
def test_what_a_goal_gives_is_checked(goal, says):
    with pytest.raises(PluginError, match=rf"goal Gives \({HERE}\): .*{says}"):
        finish(goal=goal)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None, "x"])
def test_a_monitor_without_a_value_ends_the_run_instead_of_an_empty_column(value):
    experiment = problems.experiment(INSTANCE, batch_size=4, n_queries=8)
    experiment = replace(experiment, monitors={"g": Gives(value), **experiment.monitors})
    with pytest.raises(PluginError, match=r"goal Gives .*: the value is"):
        list(experiment.rounds())


OPERATORS = {
    "U itself": lambda U: np.array(U),
    "a number": lambda U: 1.0,
    "nothing": lambda U: None,
    "too few": lambda U: U.max(axis=1)[1:],
    "text": lambda U: np.array(["a"] * len(U)),
    "complex": lambda U: U.max(axis=1).astype(complex),
}


@pytest.mark.parametrize("gives", OPERATORS.values(), ids=OPERATORS)
def test_what_an_operator_gives_is_checked(gives):
    @dataclass(frozen=True)
    class Odd(goralx.LabelOperator):
        def __call__(self, U, log_P, y_true, progress):
            return gives(U)

    says = r"operator Odd .*: the utility is .*; expected an array of numbers of shape \(\d+,\)"
    with pytest.raises(PluginError, match=says):
        finish(operator=Odd())


@pytest.mark.parametrize("gives", [None, [0, 1], (0, None)])
def test_what_a_strategy_gives_is_checked(gives):
    @dataclass(frozen=True)
    class Odd(goralx.Strategy):
        def select(self, query):
            return gives

    with pytest.raises(PluginError, match=r"strategy Odd .*what select returned.*Selection"):
        finish(strategy=Odd())


@pytest.mark.parametrize("utility", [np.array([["a"]]), np.zeros((4, 4)), [1.0], np.inf])
def test_the_utilities_of_a_strategy_are_checked(utility):
    @dataclass(frozen=True)
    class Odd(goralx.Strategy):
        def select(self, query):
            return goralx.Selection(np.arange(2), utility)

    with pytest.raises(PluginError, match=r"strategy Odd .*: the utility is"):
        finish(strategy=Odd())


@pytest.mark.parametrize("raised", [IndexError("5"), KeyError("x"), RuntimeError("no"), TypeError])
def test_whatever_a_component_raises_it_is_named_with_its_line(raised):
    @dataclass(frozen=True)
    class Faulty(goralx.Strategy):
        def select(self, query):
            raise raised

    with pytest.raises(PluginError, match=rf"strategy Faulty \({HERE}\): select \(line \d+\)"):
        finish(strategy=Faulty())


def test_the_component_at_fault_is_named_and_not_the_one_that_asked():
    """A strategy reads ``query.scores``: what goes wrong there is the operator's."""

    @dataclass(frozen=True)
    class Faulty(goralx.LabelOperator):
        def __call__(self, U, log_P, y_true, progress):
            return {}["nothing"]

    with pytest.raises(PluginError, match=r"^operator Faulty .*KeyError"):
        finish(operator=Faulty())


@pytest.mark.parametrize("gives", [lambda X, K: np.full((len(X), K), 1 / K), lambda X, K: X])
def test_a_model_s_predictions_are_logarithms_of_the_right_shape(gives):
    softmax = problems.build("model", "softmax")

    class Fit:
        def __init__(self, fit):
            self._fit = fit

        def __getattr__(self, name):
            return getattr(self._fit, name)

        def log_proba(self, X):
            return gives(X[:, :2], 3)

    class Odd:
        regime, capabilities = "fixed_C", frozenset({"derivatives"})

        def fit(self, labelled, n_classes, previous=None):
            return Fit(softmax.fit(labelled, n_classes))

    with pytest.raises(PluginError, match=r"model Fit .*: log_proba"):
        finish(model=Odd(), strategy="uncertainty")


def test_our_own_components_are_named_goralx_and_their_faults_stay_what_they_are(monkeypatch):
    strategy = problems.build("strategy", "uncertainty")
    assert origin(type(strategy).__module__) == "goralx"
    monkeypatch.setattr(type(strategy), "select", lambda self, query: {}["nothing"])
    with pytest.raises(KeyError):
        finish(strategy=strategy)


def test_a_package_is_named_with_its_version():
    assert re.fullmatch(r"numpy \d+\..*", origin("numpy.linalg"))
    assert registry()
