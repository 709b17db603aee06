"""Factor and conjugate gradients against dense solves, over random positive definite systems."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goralx.core.linear_solve import Factor, NotConverged, conjugate_gradients, refined
from goralx.errors import GoralxError


def system(seed, m, log_condition):
    """A symmetric positive definite with condition 10^log_condition, and b."""
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.normal(size=(m, m)))[0]
    A = (basis * np.logspace(0, -log_condition, m)) @ basis.T
    return rng, 0.5 * (A + A.T), rng.normal(size=m)


systems = given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.floats(0, 6))


@settings(max_examples=40, deadline=None)
@systems
def test_factor_solves(seed, m, log_condition):
    rng, A, b = system(seed, m, log_condition)
    factor = Factor.of(A.copy())
    np.testing.assert_allclose(factor.inverse() @ A, np.eye(len(A)), atol=1e-8)
    several = rng.normal(size=(m, 3))
    for rhs in (b, several):
        x = factor.solve(rhs)
        assert x.shape == rhs.shape
        np.testing.assert_allclose(A @ x, rhs, atol=1e-9 * 10**log_condition)


def test_factor_refuses_what_is_not_positive_definite():
    with pytest.raises(NotConverged, match="nearly singular"):
        Factor.of(np.diag([1.0, -1.0]))


@settings(max_examples=40, deadline=None)
@systems
def test_conjugate_gradients_with_the_exact_factor(seed, m, log_condition):
    _, A, b = system(seed, m, log_condition)
    factor = Factor.of(A.copy())
    np.testing.assert_allclose(factor.inverse() @ A, np.eye(len(A)), atol=1e-8)
    solution = conjugate_gradients(lambda s: A @ s, b, precondition=factor.solve, rtol=1e-9)
    assert solution.n_iter <= 3
    truth = np.linalg.solve(A, b)
    np.testing.assert_allclose(solution.x, truth, rtol=0, atol=1e-6 * np.abs(truth).max())


@settings(max_examples=40, deadline=None)
@systems
def test_conjugate_gradients_with_a_nearby_or_no_factor(seed, m, log_condition):
    rng, A, b = system(seed, m, log_condition)
    noise = rng.normal(size=(m, m)) * 0.3 * 10**-log_condition
    nearby = Factor.of(A + noise @ noise.T / m + 0.5 * np.diag(np.diag(A)))
    for precondition in (nearby.solve, lambda r: r):
        products = []

        def product(s, products=products):
            products.append(s)
            return A @ s

        rtol = 1e-6
        solution = conjugate_gradients(
            product, b, precondition=precondition, rtol=rtol, max_iter=20_000
        )
        assert len(products) == solution.n_iter
        truth = np.linalg.solve(A, b)
        off = solution.x - truth
        true = np.sqrt((off @ A @ off) / (truth @ A @ truth))
        assert solution.relative_error <= rtol
        assert true <= 2 * solution.relative_error + 1e-9


def test_a_diagonal_system_takes_one_iteration_per_eigenvalue():
    A = np.diag([1.0, 1.0, 5.0, 5.0, 9.0])
    b = np.arange(1.0, 6.0)
    solution = conjugate_gradients(lambda s: A @ s, b, precondition=lambda r: r, rtol=1e-12)
    assert solution.n_iter == 3
    np.testing.assert_allclose(solution.x, b / np.diag(A), rtol=1e-12)


def test_zero_right_hand_side_costs_nothing():
    def product(s):
        raise AssertionError("no product is needed")

    solution = conjugate_gradients(product, np.zeros(4), precondition=lambda r: r, rtol=1e-10)
    assert not solution.x.any()
    assert (solution.relative_error, solution.n_iter) == (0.0, 0)


def test_right_hand_side_is_left_alone():
    _, A, b = system(0, 8, 2.0)
    before = b.copy()
    conjugate_gradients(lambda s: A @ s, b, precondition=lambda r: r, rtol=1e-8)
    np.testing.assert_array_equal(b, before)


def test_at_the_cap_the_error_says_how_far_it_came():
    _, A, b = system(1, 30, 6.0)
    found = conjugate_gradients(
        lambda s: A @ s, b, precondition=lambda r: r, rtol=1e-10, max_iter=5
    )
    assert found.n_iter == 5
    assert found.relative_error > 1e-3
    with pytest.raises(NotConverged, match=r"after \d+ iterations, 1e-10 asked for"):
        refined(lambda s: A @ s, None, b, precondition=lambda r: r, rtol=1e-10, max_iter=5)


def test_inconsistent_singular_system_is_refused():
    """A right-hand side with a component that the matrix cannot reach."""
    A = np.diag([0.0, 1.0, 2.0, 3.0])
    consistent = np.array([0.0, 1.0, 1.0, 1.0])
    solution = conjugate_gradients(
        lambda s: A @ s, consistent, precondition=lambda r: r, rtol=1e-10
    )
    np.testing.assert_allclose(solution.x, [0.0, 1.0, 1 / 2, 1 / 3])
    for off in (1e-4, 1e4):
        wrong = consistent + off * np.eye(4)[0]
        with np.errstate(all="ignore"), pytest.raises(NotConverged, match="nearly singular"):
            refined(lambda s: A @ s, None, wrong, precondition=lambda r: r, rtol=1e-10)
    nothing = conjugate_gradients(
        lambda s: A @ s, np.eye(4)[0], precondition=lambda r: r, rtol=1e-10
    )
    assert nothing.relative_error == np.inf


def test_errors_are_goralxs():
    assert issubclass(NotConverged, GoralxError)
