"""Many small Newton problems against dense algebra, differences and serial solvers."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goralx.core.beyond import dual_newton
from goralx.core.beyond.dual_newton import MAX_ITER, Problems, product, solved
from goralx.core.beyond.link import Link
from goralx.core.fit.objective import contrasts
from goralx.core.linear_solve import NotConverged

TOLERANCE = 1e-10


def random(seed, *, K=2, n=6, b=1, t=5, leverage=1.0, common=False):
    """Problems and the leverages of each, whole: (t, JC, JC).

    Under the penalty alone these would be a Gram matrix G; the old curvature makes them
    S = (I + G H)^-1 G.
    """
    rng = np.random.default_rng(seed)
    C, nC, bC = K - 1, n * (K - 1), b * (K - 1)
    old = rng.normal(size=(1, nC, 2 * nC))
    new = rng.normal(size=(1 if common else t, bC, 2 * nC))
    U = np.concatenate([np.repeat(old, len(new), axis=0), new], axis=1)
    G = leverage * U @ U.transpose(0, 2, 1) / (2 * nC)
    link = Link(contrasts(K))
    s = rng.normal(size=(n + b, C)) * np.ones((t, 1, 1))
    offset = np.repeat(link.mean(s[:1]), t, axis=0)
    offset[:, n:] = link.Q[rng.integers(0, K, size=(t, b))]
    H = np.concatenate([link.curvature(s[0, :n]), np.zeros((b, C, C))])
    size = nC + bC
    whole = np.zeros((n + b, C, n + b, C))
    whole[np.arange(n + b), :, np.arange(n + b)] = H
    S = np.linalg.solve(np.eye(size) + G @ whole.reshape(size, size), G)
    problems = Problems(link, s, offset, H, S[0, :nC, :nC], S[:, nC:, :nC], S[:, nC:, nC:])
    return problems, np.broadcast_to(S, (t, *S.shape[1:]))


def error(problems, S, c):
    """Of every c (t, JC), by the definition."""
    pull = np.einsum("tij,tj->ti", S, c).reshape(problems.s.shape)
    expanded = np.einsum("jab,tjb->tja", problems.H, pull)
    wanted = problems.link.mean(problems.s - pull) - problems.offset + expanded
    return wanted.reshape(c.shape) - c


@given(
    seed=st.integers(0, 10**6),
    K=st.integers(2, 4),
    n=st.integers(1, 8),
    b=st.integers(1, 3),
    leverage=st.sampled_from([0.01, 1.0, 30.0, 3000.0]),
    common=st.booleans(),
)
def test_no_problem_is_left_above_its_tolerance(seed, K, n, b, leverage, common):
    problems, S = random(seed, K=K, n=n, b=b, leverage=leverage, common=common)
    left = np.linalg.norm(error(problems, S, problems.solve(TOLERANCE)), axis=1)
    assert left.max() <= 1.01 * TOLERANCE


@pytest.mark.parametrize("leverage", [0.1, 2.0])
def test_single_precision_is_only_on_the_way(leverage, monkeypatch):
    problems, _ = random(1, K=3, leverage=leverage)
    found = problems.solve(TOLERANCE)
    monkeypatch.setattr(dual_newton, "_TAME", 0.0)
    np.testing.assert_allclose(problems.solve(TOLERANCE), found, atol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("t", [1, 4])
def test_a_product_with_no_labelled_sample_is_zero_whatever_memory_holds(t, dtype):
    junk = np.lib.stride_tricks.as_strided(np.array([np.nan], dtype), (t, 2, 0), (0, 0, 0))
    nothing = np.ones((4, 2), dtype)[:, :0]  # strides as in a run: with others einsum is right
    np.testing.assert_array_equal(product(junk, nothing), np.zeros((4, 2)))


@pytest.mark.parametrize("common", [False, True])
@pytest.mark.parametrize(("J", "C"), [(1, 1), (5, 1), (5, 2)])
def test_a_newton_step_is_the_dense_system_s_and_not_its_transpose_s(J, C, common):
    rng = np.random.default_rng(0)
    t = 4
    root = rng.normal(size=(t, J, C, C))
    M = root @ root.transpose(0, 1, 3, 2)
    U = rng.normal(size=(1 if common else t, J * C, J * C))
    S, e = U @ U.transpose(0, 2, 1), rng.normal(size=(t, J * C))
    for i, step in enumerate(solved(M, S, e)):
        dense = np.zeros((J, C, J, C))
        dense[np.arange(J), :, np.arange(J), :] = M[i]
        dense = dense.reshape(J * C, J * C)
        own = S[i % len(S)]
        np.testing.assert_allclose(np.linalg.solve(np.eye(J * C) + dense @ own, e[i]), step)
        transposed = np.linalg.solve(np.eye(J * C) + own @ dense, e[i])
        assert J * C == 1 or np.abs(transposed - step).max() > 0.01


def test_the_error_pulled_back_is_minus_the_objective_s_gradient():
    problems, S = random(3, K=3, b=2)
    rng = np.random.default_rng(0)
    c, step = rng.normal(size=(2, *S.shape[:2])) * [[[1.0]], [[1e-5]]]
    higher, lower = (problems.objective(problems.point(c + sign * step)) for sign in (1, -1))
    slope = -np.einsum("ti,tij,tj->t", problems.point(c).error, S, step)
    np.testing.assert_allclose((higher - lower) / 2, slope, rtol=1e-5)
    np.testing.assert_allclose(problems.point(c).error, error(problems, S, c), atol=1e-12)


def test_a_damped_step_never_raises_an_objective():
    problems, _ = random(4, leverage=100.0, t=40)
    at = problems.point(np.random.default_rng(0).normal(size=(40, 7)))
    values = [problems.objective(at)]
    for _ in range(30):
        at = problems.damped_newton(at)
        values.append(problems.objective(at))
    for before, after in pairwise(values):
        assert (after <= before + 1e-10 * (1 + np.abs(before))).all()
    assert at.left.max() <= TOLERANCE


def test_steps_that_run_out_raise(monkeypatch):
    problems, _ = random(5, leverage=10.0)
    monkeypatch.setattr(dual_newton, "MAX_ITER", 1)
    with pytest.raises(NotConverged, match="problems open after 1 steps"):
        problems.solve(TOLERANCE)


def test_numbers_that_are_none_are_no_solution():
    problems, _ = random(6)
    problems.s[2, 0] = np.nan
    with pytest.raises(NotConverged, match=f"1 of 5 problems open after {MAX_ITER} steps"):
        problems.solve(TOLERANCE)
