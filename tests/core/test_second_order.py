"""B T B by a matrix and by passes over T's samples, against dense algebra."""

from __future__ import annotations

import numpy as np
import pytest

from goralx.core import softmax_regression as softmax
from goralx.core.beyond.second_order import Passes, Probes, SampleSum, Square, sandwich
from goralx.core.inverse import cost, curvature, memory
from goralx.core.inverse.curvature import quadratic_form, weighted_gram
from goralx.errors import Incompatible
from tests.problems import blobs, matrix


class Sum:
    """A fit, and a T of two sets of samples with weights of either sign."""

    def __init__(self, K, d=4):
        rng = np.random.default_rng(K)
        X, y = blobs(rng, 30, d, K)
        self.expansion = softmax.fit(X, y, K, l2=0.05).expansion("fixed_C")
        self.X = rng.normal(size=(5, d))
        sets = [(rng.normal(size=(n, d)), rng.normal(size=(n, K - 1, K - 1))) for n in (23, 11)]
        sets = [(X, W + W.transpose(0, 2, 1)) for X, W in sets]
        self.T = SampleSum(tuple((X, W.__getitem__) for X, W in sets), K - 1)
        self.dense = sum(weighted_gram(X, W) for X, W in sets)


@pytest.fixture(params=[2, 3, 5])
def made(request):
    return Sum(request.param)


@pytest.mark.parametrize("block", [1, 500, 1 << 22])
def test_both_roads_are_dense_algebra(made, block, monkeypatch):
    monkeypatch.setattr(curvature, "_BLOCK", block)
    B = matrix(made.expansion)
    truth = quadratic_form(made.X, B @ made.dense @ B)
    TB = made.expansion.times_B(made.dense)
    square = Square(made.expansion.times_B(np.ascontiguousarray(TB.T)))
    for road in (square, Passes(made.expansion, made.T)):
        np.testing.assert_allclose(road.form(made.X), truth, atol=1e-10 * np.abs(truth).max())
    v = np.random.default_rng(1).normal(size=len(made.dense))
    np.testing.assert_allclose(made.T.times(v), made.dense @ v, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(made.T.matrix(), made.dense, atol=1e-12)
    assert len(made.T) == 34


def test_the_cheaper_road_is_taken_and_both_say_the_same(made, monkeypatch):
    found = []
    for square in (0.0, np.inf):
        monkeypatch.setattr(cost, "square", lambda *sizes, square=square: square)
        found.append(sandwich(made.expansion, made.T, 5))
    assert isinstance(found[0], Square) and isinstance(found[1], Passes)
    np.testing.assert_allclose(*(road.form(made.X) for road in found), rtol=1e-9, atol=1e-12)


def test_random_vectors_are_right_on_average(made):
    expansion, C = made.expansion, made.expansion.Q.shape[1]
    root = np.random.default_rng(2).normal(size=(40, C, C))
    X = np.random.default_rng(3).normal(size=(40, 4))
    W = root @ root.transpose(0, 2, 1)
    T = SampleSum(((X, W.__getitem__),), C)
    truth = Passes(expansion, T).form(made.X)
    found = Probes.of(expansion, T, 20_000).form(made.X)
    np.testing.assert_allclose(found, truth, atol=0.05 * np.abs(truth).max())
    few = np.einsum("nii->n", Probes.of(expansion, T, 100).form(made.X))
    np.testing.assert_allclose(few, np.einsum("nii->n", truth), rtol=0.6)


def test_a_matrix_that_does_not_fit_is_refused(made, monkeypatch):
    monkeypatch.setattr(cost, "square", lambda *sizes: 0.0)
    monkeypatch.setattr(memory, "available", lambda: 100)
    with pytest.raises(Incompatible, match=r"parameters takes .* of memory"):
        sandwich(made.expansion, made.T, 5)
