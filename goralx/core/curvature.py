"""How sure the model is of its logits: leverage under the curvature of what was labelled."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .linear_solve import Array


def logit_variance(X: NDArray[np.floating], covariance: Array, Q: Array) -> Array:
    """Diagonal of S(x) = (I (x) x)' (nH)^-1 (I (x) x), for class-centred logits: (N, K).

    ``covariance`` is (nH)^-1 in contrast coordinates (m, m) and Q (K, K-1) the contrasts; X (N, d)
    is without the constant. S_kk is the posterior variance of logit k by Laplace's approximation
    (MacKay, The evidence framework applied to classification networks, 1992).
    """
    K, D = Q.shape[0], X.shape[1] + 1
    blocks = covariance.reshape(K - 1, D, K - 1, D)
    variance = np.empty((len(X), K))
    for k in range(K):
        B = np.tensordot(np.tensordot(Q[k], blocks, axes=(0, 0)), Q[k], axes=(1, 0))
        quadratic = np.einsum("nd,nd->n", X @ B[:-1, :-1], X)
        variance[:, k] = quadratic + 2.0 * (X @ B[:-1, -1]) + B[-1, -1]
    return variance
