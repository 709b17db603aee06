"""A classification head in PyTorch: linear, or with one hidden layer, by products with Jacobians.

It forms no matrix of parameters: the curvature is the generalised Gauss-Newton matrix (Schraudolph
2002, doi:10.1162/08997660260028683; for a linear head that is the Hessian), applied by one
Jacobian-vector and one vector-Jacobian product and inverted by conjugate gradients. A pattern for
models of one's own, and the same model as "softmax" where ``hidden`` is 0.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import issparse
from scipy.sparse.linalg import LinearOperator, cg

import goralx
from goralx import Array, BadInput, Features, Labelled, Solution
from goralx.core import Floats, NotConverged

_SOLVED = 1e-10  # residual of a system with the curvature, relative to its right-hand side
_CLOSE = 1e-6  # gradient from which Newton steps need no trust region
_USELESS = 1e-3  # relative error of theta beyond which a fit is refused


@dataclass(frozen=True)
class TorchHead:
    """Softmax over a linear layer, or over ``hidden`` tanh units and a linear layer, in PyTorch.

    The objective is softmax regression's, with the penalty 1/(2 n C) on all but the last layer's
    intercepts, and on these while a class has no label. A hidden layer starts from ``seed`` in the
    first round, later from the round before, and ends in a local optimum; utilities are those of
    the network linearised there. Needs torch: pip install 'goralx[torch]'.
    """

    hidden: int = 0
    C: float = 1.0
    regime: str = "fixed_C"
    seed: int = 0
    tolerance: float = 1e-8
    max_iter: int = 500

    capabilities: ClassVar[frozenset[str]] = frozenset({"derivatives"})

    def __post_init__(self) -> None:
        if not (self.C > 0 and np.isfinite(self.C)):
            raise BadInput(
                f"model.C={self.C}; C is a positive, finite number (larger: less penalty)"
            )
        if self.regime not in ("fixed_C", "fixed_lambda"):
            raise BadInput(f"model.regime={self.regime}; allowed: fixed_C, fixed_lambda")
        if self.hidden < 0:
            raise BadInput(f"model.hidden={self.hidden}; allowed: 0 (linear) or more units")
        if not 0 < self.tolerance < 1:
            raise BadInput(f"model.tolerance={self.tolerance}; allowed: above 0, below 1")
        if self.max_iter < 1:
            raise BadInput(f"model.max_iter={self.max_iter}; allowed: at least 1")
        torch()

    def fit(self, labelled: Labelled, n_classes: int, previous: TorchFit | None = None) -> TorchFit:
        kept = self.regime == "fixed_lambda" and previous is not None
        l2 = previous.l2 if kept and previous is not None else 1.0 / (len(labelled) * self.C)
        layers = self._layers(labelled, n_classes)
        start = layers.start(self.seed) if previous is None else previous.theta
        fit = TorchFit(layers, dense(labelled.X), labelled.y, l2, start, 0.0)
        return fit.at_optimum(self.tolerance, self.max_iter)

    def restore(self, labelled: Labelled, n_classes: int, arrays: Mapping[str, Array]) -> TorchFit:
        layers = self._layers(labelled, n_classes)
        l2, error = (float(arrays[name]) for name in ("l2", "relative_error"))
        theta = np.asarray(arrays["theta"])
        return TorchFit(layers, dense(labelled.X), labelled.y, l2, theta, error)

    def _layers(self, labelled: Labelled, n_classes: int) -> Layers:
        absent = len(np.unique(labelled.y)) < n_classes
        return Layers(labelled.X.shape[1], self.hidden, n_classes, absent)


@dataclass(frozen=True)
class Layers:
    """The network: d features, ``hidden`` tanh units or none, K classes; theta (m,) is flat.

    ``holds_intercepts``: the last layer's are penalised as well.
    """

    d: int
    hidden: int
    K: int
    holds_intercepts: bool = False

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """Of each layer's weights with its intercept, (out, in + 1)."""
        if not self.hidden:
            return [(self.K, self.d + 1)]
        return [(self.hidden, self.d + 1), (self.K, self.hidden + 1)]

    @property
    def penalised(self) -> Array:
        """(m,): 1, and 0 for the last layer's intercepts unless they are held."""
        ones = [np.ones(shape) for shape in self.shapes]
        ones[-1][:, -1] = float(self.holds_intercepts)
        return np.concatenate([each.ravel() for each in ones])

    def cleared(self, gradient: Array) -> Array:
        """Without what round-off left along the intercepts' common constant, which no prediction
        sees and nothing holds: conjugate gradients would follow it to no end.
        """
        cleared = gradient.copy()
        last = cleared[-self.shapes[-1][0] * self.shapes[-1][1] :].reshape(self.shapes[-1])
        last[:, -1] -= last[:, -1].mean()
        return cleared

    def start(self, seed: int) -> Array:
        """Zero where that decides nothing, else at random, by the number of inputs."""
        if not self.hidden:
            return np.zeros(self.K * (self.d + 1))
        rng = np.random.default_rng(seed)
        drawn = [rng.standard_normal(shape) / np.sqrt(shape[1]) for shape in self.shapes]
        return np.concatenate([each.ravel() for each in drawn])

    def logits(self, theta: Any, X: Any) -> Any:
        """(N, K), of tensors."""
        first = 0
        for place, (out, into) in enumerate(self.shapes):
            layer = theta[first : first + out * into].reshape(out, into)
            X = (torch().tanh(X) if place else X) @ layer[:, :-1].T + layer[:, -1]
            first += out * into
        return X


@dataclass(frozen=True)
class TorchFit:
    """The head at theta (m,), with its labelled samples X (n, d), y (n,)."""

    layers: Layers
    X: Features = field(repr=False)
    y: Array = field(repr=False)
    l2: float
    theta: Array = field(repr=False)
    relative_error: float

    @property
    def n_labelled(self) -> int:
        return len(self.y)

    @property
    def n_classes(self) -> int:
        return self.layers.K

    @property
    def noise(self) -> float:
        return 10.0 * self.relative_error

    @property
    def penalty_gradient(self) -> Array:
        return self.decay * self.theta

    def log_proba(self, X: Features) -> Floats:
        found: Floats = torch().log_softmax(self._logits_of(X)(tensor(self.theta, X)), 1).numpy()
        return found

    def pullback(self, X: Features, G: Floats) -> Array:
        """In double precision, of a centred G, so that of a float32 pool as much is left of it."""
        X = dense(X).astype(np.float64, copy=False)
        G = np.asarray(G, dtype=np.float64)
        back = torch().func.vjp(self._logits_of(X), tensor(self.theta))[1]
        pulled: Array = back(tensor(G - G.mean(axis=1, keepdims=True)))[0].numpy()
        return pulled

    def pushforward(self, X: Features, v: Array) -> Floats:
        along = tensor(self.theta, X), tensor(v, X)
        pushed: Floats = (
            torch().func.jvp(self._logits_of(X), *((each,) for each in along))[1].numpy()
        )
        return pushed

    def solve(self, g: Array) -> Solution:
        if not g.any():
            return Solution(np.zeros_like(g), 0.0, 0)
        b = self.layers.cleared(g)
        x, n_iter = solved(self._gauss_newton, b, _SOLVED)
        left, energy = b - self._gauss_newton(x), float(b @ x)
        error = float(np.sqrt(left @ left / self.l2 / energy)) if energy > 0.0 else np.inf
        return Solution(x, error, n_iter, energy)

    def checkpoint(self) -> dict[str, Array]:
        numbers = {"l2": self.l2, "relative_error": self.relative_error}
        return {"theta": self.theta, **{name: np.array(value) for name, value in numbers.items()}}

    def at_optimum(self, tolerance: float, max_iter: int) -> TorchFit:
        """From theta to a local optimum: by a trust region, then by Newton's own steps.

        The trust region judges by the objective's value, whose round-off hides the last digits.
        """
        found = minimize(
            lambda theta: self._objective(theta)[0], self.theta, method="trust-ncg",
            jac=lambda theta: self._objective(theta)[1],
            hessp=lambda theta, v: self._hessian(theta)(v),
            options={"gtol": _CLOSE * self.l2, "maxiter": max_iter},
        )  # fmt: skip
        theta, error = found.x, np.inf
        for _ in range(20):
            downhill = self.layers.cleared(-self._objective(theta)[1])
            step, _ = solved(self._hessian(theta), downhill, 1e-6)
            length = np.linalg.norm(self.layers.penalised * theta)
            before, error = error, float(np.linalg.norm(step) / max(length, 1e-7))
            if error <= tolerance or error > 0.5 * before:
                break
            theta = theta + step
        if not error < _USELESS:
            raise NotConverged(
                f"torch head: relative error {error:.1e} after {found.nit} steps; raise "
                "model.max_iter, standardise the features or lower C"
            )
        return TorchFit(self.layers, self.X, self.y, self.l2, theta, error)

    @cached_property
    def decay(self) -> Array:
        return self.l2 * self.layers.penalised

    @cached_property
    def _samples(self) -> tuple[Any, Any]:
        return tensor(self.X.astype(np.float64, copy=False)), tensor(self.y)

    def _loss(self, theta: Any) -> Any:
        X, y = self._samples
        loss = torch().nn.functional.cross_entropy(self.layers.logits(theta, X), y)
        return loss + 0.5 * (tensor(self.decay) * theta**2).sum()

    def _objective(self, theta: Array) -> tuple[float, Array]:
        slope, value = torch().func.grad_and_value(self._loss)(tensor(theta))
        return float(value), slope.numpy()

    def _hessian(self, theta: Array) -> Callable[[Array], Array]:
        """Products with the Hessian of the objective, at theta."""
        gradient = torch().func.grad(self._loss)

        def product(v: Array) -> Array:
            pushed: Array = torch().func.jvp(gradient, (tensor(theta),), (tensor(v),))[1].numpy()
            return pushed

        return product

    def _gauss_newton(self, v: Array) -> Array:
        """J' Lambda J v / n + l2 v, over the labelled samples."""
        X, P = self._samples[0].numpy(), self._P
        S = self.pushforward(X, v)
        S = P * (S - (P * S).sum(axis=1, keepdims=True))
        return self.pullback(X, S) / self.n_labelled + self.decay * v

    @cached_property
    def _P(self) -> Array:
        P: Array = np.exp(self.log_proba(self._samples[0].numpy()))
        return P

    def _logits_of(self, X: Features) -> Callable[[Any], Any]:
        samples = tensor(dense(X))
        return lambda theta: self.layers.logits(theta, samples)


def solved(product: Callable[[Array], Array], b: Array, rtol: float) -> tuple[Array, int]:
    """A^-1 b by conjugate gradients, and their number."""
    taken = [0]

    def count(_: Array) -> None:
        taken[0] += 1

    m = len(b)
    operator = LinearOperator((m, m), matvec=product, dtype=np.float64)
    x, _ = cg(operator, b, rtol=rtol, maxiter=max(200, 2 * m), callback=count)
    return x, taken[0]


def dense(X: Features) -> Any:
    if issparse(X):
        raise BadInput("model=torch takes no sparse features; use model=softmax")
    return X[:]


def tensor(values: Any, like: Any = None) -> Any:
    """A tensor of an array, in its precision or in another array's; on the same memory."""
    dtype = values.dtype if like is None else like.dtype
    with warnings.catch_warnings():  # of arrays that are not to be written to: nobody does
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch().from_numpy(np.ascontiguousarray(values, dtype=dtype))


def torch() -> Any:
    try:
        import torch
    except ImportError:
        raise BadInput("model=torch needs torch · pip install 'goralx[torch]'") from None
    return torch


@goralx.hookimpl
def register_models(register):
    register("torch", TorchHead)
