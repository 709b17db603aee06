"""The inverse curvature in the span of the samples against the matrix inverted as a whole."""

from __future__ import annotations

import numpy as np
import pytest

from goralx.core.inverse.curvature import weighted_gram
from goralx.core.inverse.dense_inverse import Dense
from goralx.core.inverse.span import Span


@pytest.mark.parametrize("intercept", [0.0, 0.3])
@pytest.mark.parametrize("C", [1, 3])
@pytest.mark.parametrize(("n", "d"), [(5, 9), (9, 5), (4, 4)])
def test_B_of_anything_with_more_features_than_samples_or_fewer(n, d, C, intercept):
    rng = np.random.default_rng(n)
    X = np.column_stack([rng.normal(size=(n, d)), np.ones(n)])
    X[1] = X[0]  # the samples need not be independent
    root = rng.normal(size=(n, C, C))
    curvature = root @ root.transpose(0, 2, 1)
    decay = np.append(np.full(d, 0.3), intercept)
    A = weighted_gram(X[:, :-1], curvature) + np.diag(np.tile(decay, C))
    V = rng.normal(size=(6, C, d + 1))
    span = Span.of(X, C, decay, lambda inside, penalty: Dense.of(inside, curvature, penalty))
    found = span.times_B(*span.split(V))
    np.testing.assert_allclose(found.reshape(6, -1), V.reshape(6, -1) @ np.linalg.inv(A), atol=1e-9)
    np.testing.assert_allclose(span.split(X)[1], 0.0, atol=1e-13)
