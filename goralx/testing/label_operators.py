"""What a label operator promises: a number for each sample, whatever the unknown label."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
from scipy.special import logsumexp

from goralx.contracts import LabelOperator
from goralx.data import Array, Labelled, Labels

from .common import (
    Check,
    global_generators_unused,
    raises_nothing,
    require_array,
    require_close,
    untouched,
)
from .scenario import CLASSES, candidates, predictions, saturated

PROGRESS = (0.0, 0.5, 1.0)
N = 6


def check_is_label_operator(operator: LabelOperator) -> None:
    """An operator extends goralx.LabelOperator, and its declarations have the declared types."""
    name = type(operator).__name__
    assert isinstance(operator, LabelOperator), f"let {name} extend goralx.LabelOperator"
    for declared in ("needs_ground_truth", "decomposable", "uses_progress"):
        value = getattr(operator, declared)
        assert isinstance(value, bool), f"{declared} = {value!r}; allowed: True, False"
    needs = operator.needs_model
    assert isinstance(needs, frozenset) and all(isinstance(n, str) for n in needs), (
        f"needs_model = {needs!r}; expected a frozenset of names"
    )


def check_shapes(operator: LabelOperator) -> None:
    """One finite number a sample (N,), at every stage of the budget; N = 1 is no exception."""
    for K in CLASSES:
        U, log_P, y = _world(K)
        for progress in PROGRESS:
            for n in (1, N):
                result = operator(U[:n], log_P[:n], _labels(operator, y[:n]), progress)
                require_array(result, (n,), f"K={K}, progress={progress}: the utility")


def check_progress_declared(operator: LabelOperator) -> None:
    """Without declaring ``uses_progress`` it gives the same at every stage of the budget."""
    if operator.uses_progress:
        return
    for K in CLASSES:
        U, log_P, y = _world(K)
        first, *others = (operator(U, log_P, _labels(operator, y), at) for at in PROGRESS)
        assert all(np.array_equal(first, other) for other in others), (
            f"K={K}: the utility changes with progress; declare uses_progress = True"
        )


def check_sample_order(operator: LabelOperator) -> None:
    """Samples in another order give the same numbers in that order."""
    for K in CLASSES:
        U, log_P, y = _world(K)
        order = np.random.default_rng(0).permutation(N)
        expected = operator(U, log_P, _labels(operator, y), 0.5)[order]
        result = operator(U[order], log_P[order], _labels(operator, y[order]), 0.5)
        require_close(result, expected, f"K={K}: the utility depends on the order of the samples")


def check_separable(operator: LabelOperator) -> None:
    """If ``separable``, a sample alone has the utility that it has among others."""
    if not operator.separable:
        return
    for K in CLASSES:
        U, log_P, y = _world(K)
        among = operator(U, log_P, _labels(operator, y), 0.5)
        alone = [operator(U[[i]], log_P[[i]], _labels(operator, y[[i]]), 0.5) for i in range(N)]
        require_close(
            np.concatenate(alone),
            among,
            f"K={K}: the utility depends on the other samples; set separable = False",
        )


def check_single_precision(operator: LabelOperator) -> None:
    """U and beliefs in single precision, as of float32 features, change the result by round-off."""
    for K in CLASSES:
        U, log_P, y = _world(K)
        single = U.astype(np.float32), log_P.astype(np.float32)
        require_close(
            operator(*single, _labels(operator, y), 0.5),
            operator(U, log_P, _labels(operator, y), 0.5),
            f"K={K}: the utility, of float32 U and log_P",
            rtol=1e-4,
        )


def check_class_order(operator: LabelOperator) -> None:
    """Classes numbered otherwise (U, beliefs and labels alike) give the same numbers."""
    for K in CLASSES:
        U, log_P, y = _world(K)
        order = np.roll(np.arange(K), 1)
        renamed = _labels(operator, np.argsort(order)[y])
        result = operator(U[:, order], log_P[:, order], renamed, 0.5)
        expected = operator(U, log_P, _labels(operator, y), 0.5)
        require_close(result, expected, f"K={K}: the utility depends on how classes are numbered")


def check_ground_truth_declared(operator: LabelOperator) -> None:
    """An operator that does not declare ``needs_ground_truth`` works without y_true, ignores it."""
    if operator.needs_ground_truth:
        return
    for K in CLASSES:
        U, log_P, y = _world(K)
        remedy = "if it needs y_true, declare needs_ground_truth = True"
        with raises_nothing("without labels", remedy):
            without = operator(U, log_P, None, 0.5)
        require_close(
            operator(U, log_P, y, 0.5),
            without,
            f"K={K}: the utility depends on y_true; declare needs_ground_truth = True",
        )


def check_decomposable(operator: LabelOperator) -> None:
    """If ``decomposable``, l_Y of a sum over a batch is the sum of l_y over its samples (Remark 2).

    The batch's joint labelling Y is treated as the label of one sample with K^b classes, whose
    utility is the sum of its members' and whose probability is their product.
    """
    if not operator.decomposable:
        return
    b = 3
    for K in CLASSES:
        U, log_P, y = _world(K, b)
        labellings = np.array(list(product(range(K), repeat=b)))
        members = np.arange(b)
        joint_U = U[members, labellings].sum(axis=1)[None]
        joint_log_P = log_P[members, labellings].sum(axis=1)[None]
        joint_y = np.flatnonzero((labellings == y).all(axis=1))
        for progress in PROGRESS:
            together = operator(joint_U, joint_log_P, _labels(operator, joint_y), progress)
            apart = operator(U, log_P, _labels(operator, y), progress).sum(keepdims=True)
            require_close(
                together,
                apart,
                f"K={K}: over a batch the operator is not the sum over its samples; "
                "declare decomposable = False",
                scale=float(np.abs(U).max()),
            )


def check_saturated_predictions(operator: LabelOperator) -> None:
    """Predictions of 0 and 1 give finite utilities."""
    for K in CLASSES:
        U, _, y = _world(K)
        for progress in PROGRESS:
            result = operator(U, saturated(K, N).log_P, _labels(operator, y), progress)
            require_array(result, (N,), f"K={K}: where a probability is 0, the utility")


def check_any_magnitude(operator: LabelOperator) -> None:
    """Utilities of any size give finite numbers: a goal's unit may be large or tiny."""
    for K in CLASSES:
        U, log_P, y = _world(K)
        for unit in (1e-9, 1e9):
            result = operator(unit * U, log_P, _labels(operator, y), 0.5)
            require_array(result, (N,), f"K={K}: of utilities around {unit:g}, the utility")


def check_few_labels(operator: LabelOperator) -> None:
    """Two labelled samples a class are enough for ``beliefs``, as is a class without any.

    An operator that needs more of a model than a softmax regression gives is not asked.
    """
    for K, y in ((2, [0, 1, 0, 1]), (3, [0, 0, 2, 2]), (26, list(range(10)))):
        asked = candidates(K)
        if not all(hasattr(asked.model, need) for need in operator.needs_model):
            return
        X = asked.X[np.arange(len(y)) % len(asked)]
        log_Q = operator.beliefs(replace(asked, labelled=Labelled(X, np.array(y))))
        where = f"{len(y)} labelled samples of {K} classes"
        assert log_Q.shape == (len(asked), K), f"{where}: beliefs have shape {log_Q.shape}"
        total = np.exp(log_Q).sum(axis=1)
        require_close(total, np.ones(len(asked)), f"{where}: beliefs do not sum to one")


def check_beliefs(operator: LabelOperator) -> None:
    """``beliefs`` are log probabilities (N, K) that sum to one, the same each time.

    Asked about a softmax regression; an operator that needs more of a model is not asked.
    """
    for K in (2, 3):
        asked = candidates(K)
        if not all(hasattr(asked.model, need) for need in operator.needs_model):
            return
        log_Q = operator.beliefs(asked)
        expected = (len(asked), K)
        assert log_Q.shape == expected, f"beliefs have shape {log_Q.shape}; expected {expected}"
        require_close(
            logsumexp(log_Q, axis=1),
            np.zeros(len(asked)),
            f"K={K}: beliefs are not log probabilities: they do not sum to one",
            scale=1.0,
        )
        with global_generators_unused():  # a first import may draw, a second call may not
            same = np.array_equal(log_Q, operator.beliefs(candidates(K)))
        assert same, "asked twice, it believes two things; draw from candidates.random_state"


def check_inputs_untouched(operator: LabelOperator) -> None:
    """An operator does not write into U, log_P or y_true, nor into the candidates."""
    for K in CLASSES:
        U, log_P, y = _world(K)
        with untouched(U=U, log_P=log_P, y_true=y):
            operator(U, log_P, _labels(operator, y), 0.5)
    asked = candidates()
    if all(hasattr(asked.model, need) for need in operator.needs_model):
        with untouched(X=asked.pool.X, log_P=asked.pool.log_P, labelled=asked.labelled.X):
            operator.beliefs(asked)


def check_deterministic(operator: LabelOperator) -> None:
    """The same utilities give the same numbers, bit for bit, and no global generator is used."""
    U, log_P, y = _world(5)
    with global_generators_unused():
        once, twice = (operator(U, log_P, _labels(operator, y), 0.5) for _ in range(2))
    assert np.array_equal(once, twice), "asked twice, it gives two answers"


def _world(K: int, n: int = N) -> tuple[Array, Array, Labels]:
    """U (n, K), log_P (n, K), true labels (n,)."""
    U = np.random.default_rng([K, 1]).normal(size=(n, K))
    seen = predictions(K, n)
    return U, seen.log_P, seen.y


def _labels(operator: LabelOperator, y: Labels) -> Labels | None:
    return y if operator.needs_ground_truth else None


CHECKS: tuple[Check, ...] = (
    check_is_label_operator,
    check_shapes,
    check_progress_declared,
    check_sample_order,
    check_separable,
    check_single_precision,
    check_class_order,
    check_ground_truth_declared,
    check_decomposable,
    check_saturated_predictions,
    check_any_magnitude,
    check_beliefs,
    check_few_labels,
    check_inputs_untouched,
    check_deterministic,
)
