"""Every road to the inverse curvature against the matrix inverted as a whole."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goralx.core import softmax_regression as softmax
from goralx.core.fit.objective import contrasts
from goralx.core.inverse import inverse_curvature, memory
from goralx.core.inverse.class_blocks import ClassBlocks
from goralx.core.inverse.curvature import fisher, quadratic_form, weighted_gram
from goralx.core.inverse.dense_inverse import Dense
from goralx.core.inverse.span import Span
from goralx.core.linear_solve import NotConverged
from goralx.errors import Incompatible
from tests.problems import blobs

ROADS = ("dense", "class blocks", "span, dense", "span, class blocks", "chosen")


class Labels:
    """Labelled samples, their predictions, what their penalty is, and their curvature, slowly."""

    def __init__(self, seed, K, n, d, decay, intercept, spread=2.0):
        rng = np.random.default_rng(seed)
        self.Q = contrasts(K)
        self.X = np.column_stack([rng.normal(size=(n, d)), np.ones(n)])
        self.P = np.exp(softmax.log_softmax(spread * rng.normal(size=(n, K))))
        self.decay = np.append(np.full(d, decay), intercept * decay)
        self.curvature = fisher(self.P, self.Q)
        A = weighted_gram(self.X[:, :-1], self.curvature) + np.diag(np.tile(self.decay, K - 1))
        self.log_det, self.B = np.linalg.slogdet(A)[1], np.linalg.inv(A)
        self.V = rng.normal(size=(4, K - 1, d + 1))
        self.candidates = rng.normal(size=(6, d)) * 2

    def road(self, name):
        Q, X, P, decay = self.Q, self.X, self.P, self.decay

        def dense(rows, penalty):
            return Dense.of(rows, self.curvature, penalty)

        def blocks(rows, penalty):
            return ClassBlocks.of(Q, rows, P, penalty)

        return {
            "dense": lambda: dense(X, decay),
            "class blocks": lambda: blocks(X, decay),
            "span, dense": lambda: Span.of(X, Q.shape[1], decay, dense),
            "span, class blocks": lambda: Span.of(X, Q.shape[1], decay, blocks),
            "chosen": lambda: inverse_curvature.inverse_curvature(Q, X, P, decay),
        }[name]()


def agrees(road, B, log_det, labels, rtol=1e-8):
    """Everything that is asked of B, against the matrix (m, m)."""
    Q, V, X = labels.Q, labels.V, labels.candidates
    scale = np.abs(B).max()
    product = (V.reshape(len(V), -1) @ B).reshape(V.shape)
    np.testing.assert_allclose(road.times(V), product, rtol=0, atol=rtol * np.abs(product).max())
    S = quadratic_form(X, B)
    np.testing.assert_allclose(road.leverage(X), S, rtol=0, atol=rtol * np.abs(S).max())
    variance = np.einsum("ka,nab,kb->nk", Q, S, Q)
    np.testing.assert_allclose(road.variance(X, Q), variance, rtol=0, atol=rtol * variance.max())
    assert road.log_det == pytest.approx(log_det, abs=1e-8 * (1.0 + abs(log_det)) * max(1.0, scale))


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    K=st.sampled_from([2, 3, 5, 12]),
    n=st.sampled_from([1, 4, 15, 40]),
    d=st.sampled_from([1, 3, 20]),
    decay=st.sampled_from([1e-4, 0.1, 1.0, 100.0]),
    intercept=st.booleans(),
)
def test_all_roads_are_the_inverse(seed, K, n, d, decay, intercept):
    labels = Labels(seed, K, n, d, decay, intercept)
    for name in ROADS:
        agrees(labels.road(name), labels.B, labels.log_det, labels)


@pytest.mark.parametrize("name", ROADS)
@pytest.mark.parametrize(("K", "n", "d"), [(2, 12, 5), (4, 5, 9), (6, 30, 4)])
def test_two_samples_more_on_every_road(name, K, n, d):
    labels = Labels(0, K, n, d, 0.3, False)
    road, A = labels.road(name), np.linalg.inv(labels.B)
    for x, p in zip(labels.candidates[:2], labels.P, strict=False):
        row, information = np.append(x, 1.0), fisher(p[None], labels.Q)[0]
        road = road.with_sample(row, information)
        A = A + np.kron(information, np.outer(row, row))
    agrees(road, np.linalg.inv(A), np.linalg.slogdet(A)[1], labels)


@pytest.mark.parametrize("C", [1e-4, 1.0, 1e4])
def test_class_blocks_keep_their_digits_at_weak_penalties(C):
    """Where predictions are nearly certain what is subtracted is nearly what it is taken from."""
    X, y = blobs(np.random.default_rng(0), 60, 8, 5, spread=2.0)
    fit = softmax.fit(X, y, 5, l2=1 / (60 * C), tolerance=1e-10)
    P = np.exp(fit.log_proba(X))
    rows, decay, Q = fit.objective.X, 60 * fit.decay, fit.objective.Q
    exact = Dense.of(rows, fisher(P, Q), decay).leverage(X)
    found = ClassBlocks.of(Q, rows, P, decay).leverage(X)
    assert np.abs(found - exact).max() < 1e-7 * np.abs(exact).max()


def test_a_curvature_that_has_no_digits_left_is_refused():
    labels = Labels(0, 4, 30, 3, 1e-13, 0.0, spread=300.0)
    with pytest.raises(NotConverged, match="lower C"):
        labels.road("class blocks")


def test_a_matrix_takes_over_where_class_blocks_lose_their_digits(monkeypatch):
    X, y = blobs(np.random.default_rng(0), 60, 30, 12, spread=2.0)
    fit = softmax.fit(X, y, 12, l2=1 / (60 * 1e6))
    P, rows, decay = np.exp(fit.log_proba(X)), fit.objective.X, 60 * fit.decay
    Q = fit.objective.Q
    assert not inverse_curvature.by_matrix(60, 31, 12)
    with pytest.raises(NotConverged):
        ClassBlocks.of(Q, rows, P, decay)
    found = inverse_curvature.inverse_curvature(Q, rows, P, decay)
    A = weighted_gram(rows[:, :-1], fisher(P, Q)) + np.diag(np.tile(decay, 11))
    V = np.random.default_rng(1).normal(size=(3, 11, 31))
    image = (found.times(V).reshape(3, -1) @ A).reshape(V.shape)
    np.testing.assert_allclose(image, V, rtol=0, atol=1e-4)
    monkeypatch.setattr(inverse_curvature, "LARGE", 11 * 31 - 1)
    with pytest.raises(NotConverged, match="lower C"):
        inverse_curvature.inverse_curvature(Q, rows, P, decay)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    K=st.sampled_from([2, 3, 12]),
    n=st.sampled_from([4, 15, 40]),
    d=st.sampled_from([1, 3, 20]),
    far=st.sampled_from([0.0, 10.0, 1e3, 1e6]),
)
def test_features_far_from_the_origin_cost_no_digits(seed, K, n, d, far):
    """The same problem about the origin, and (W, b) there as (W, b - W mu) here."""
    near = Labels(seed, K, n, d, 0.1, False)
    mu = far * np.random.default_rng(seed).normal(size=d)
    X = near.X.copy()
    X[:, :-1] += mu
    road = inverse_curvature.inverse_curvature(near.Q, X, near.P, near.decay, mu)
    S = quadratic_form(near.candidates, near.B)
    digits = 1e-8 + 1e-13 * far
    for more in range(3):
        moved = near.candidates + mu
        np.testing.assert_allclose(road.leverage(moved), S, rtol=0, atol=digits * np.abs(S).max())
        variance = np.einsum("ka,nab,kb->nk", near.Q, S, near.Q)
        found = road.variance(moved, near.Q)
        np.testing.assert_allclose(found, variance, rtol=0, atol=digits * variance.max())
        pulled = near.V.copy()
        pulled[..., :-1] += near.V[..., -1:] * mu  # a gradient in (W, b) here, of one in (W, c)
        expected = (near.V.reshape(len(near.V), -1) @ near.B).reshape(near.V.shape)
        solved = road.times(pulled)
        solved[..., -1] += solved[..., :-1] @ mu
        scale = np.abs(expected).max()
        np.testing.assert_allclose(solved, expected, rtol=0, atol=(1e-8 + 1e-9 * far) * scale)
        assert road.log_det == pytest.approx(near.log_det, abs=1e-6 * (1.0 + abs(near.log_det)))
        x = near.candidates[more]
        information = fisher(near.P[:1], near.Q)[0]
        row = np.append(x, 1.0)
        A = np.linalg.inv(near.B) + np.kron(information, np.outer(row, row))
        near.B, near.log_det = np.linalg.inv(A), np.linalg.slogdet(A)[1]
        S = quadratic_form(near.candidates, near.B)
        road = road.with_sample(np.append(x + mu, 1.0), information)


def test_the_cheaper_road_is_taken():
    chosen = inverse_curvature.by_matrix
    assert chosen(50, 51, 2) and chosen(110, 769, 2)  # two classes: one block
    assert chosen(1000, 17, 26)  # letter: many samples a class
    assert not chosen(300, 301, 10) and not chosen(500, 385, 100) and not chosen(200, 201, 50)


def test_what_does_not_fit_is_refused_with_its_size(monkeypatch):
    labels = Labels(0, 3, 20, 4, 1.0, True)
    monkeypatch.setattr(memory, "available", lambda: 1 << 12)
    with pytest.raises(
        Incompatible, match=r"20 labels.*3 classes takes .* of memory.*; use utility=inf"
    ):
        labels.road("chosen")


def test_memory_that_is_there_and_its_size():
    assert 2**20 < memory.available() < 2**50
    memory.ensure(1, "nothing", "")
    assert memory.size(3 << 30) == "3.0 GiB" and memory.size(5 << 20) == "5 MiB"


def test_numbers_kept_grow_with_the_classes_and_not_with_their_square():
    assert inverse_curvature.needed(500, 385, 100) < 400 << 20  # a dense one: 11 GiB
    ratio = inverse_curvature.needed(500, 385, 400) / inverse_curvature.needed(500, 385, 200)
    assert ratio < 2.1
