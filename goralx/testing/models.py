"""What a model promises: predictions, and how they move with its parameters and its samples."""

from __future__ import annotations

from functools import partial
from typing import cast

import numpy as np
from scipy.special import logsumexp

from goralx.contracts import DifferentiableModel, Model
from goralx.core import Array, Floats
from goralx.data import Features, Labelled

from .common import Check, answer_or_refusal, require_array, require_close, untouched
from .scenario import labelled, without_last

CLASSES = (2, 4)


def check_is_model(model: Model) -> None:
    """A model can fit and restore, names its capabilities and its regime."""
    name = type(model).__name__
    assert isinstance(model, Model), f"{name} needs capabilities, regime, fit and restore"
    assert model.regime in ("fixed_C", "fixed_lambda"), (
        f"regime = {model.regime!r}; allowed: fixed_C, fixed_lambda"
    )
    capabilities = model.capabilities
    assert isinstance(capabilities, frozenset) and all(isinstance(c, str) for c in capabilities), (
        f"capabilities = {capabilities!r}; expected a frozenset of names"
    )


def check_fit_describes_itself(model: Model) -> None:
    """A fit knows its samples, its classes and its noise, and has the derivatives it is said to."""
    asked = ("theta", "penalty_gradient", "pullback", "pushforward", "solve")
    for K in CLASSES:
        fitted = model.fit(labelled(K, 30), K)
        assert fitted.n_labelled == 30, f"n_labelled is {fitted.n_labelled}, 30 were given"
        assert fitted.n_classes == K, f"n_classes is {fitted.n_classes}, {K} were given"
        assert fitted.noise >= 0.0, f"noise is {fitted.noise}; expected a relative error, 0 or more"
        missing = [name for name in asked if not hasattr(fitted, name)]
        if not _differentiable(model):
            assert missing, 'has every derivative; name "derivatives" among its capabilities'
            continue
        assert not missing, f'offers "derivatives" and has no {", ".join(missing)}'
        fit = cast(DifferentiableModel, fitted)
        require_array(fit.penalty_gradient, fit.theta.shape, "penalty_gradient")


def check_predictions(model: Model) -> None:
    """``log_proba`` are log probabilities (N, K) that sum to one, also far from the samples."""
    for K in CLASSES:
        fitted, X = model.fit(labelled(K, 30), K), _pool(K)
        for scale in (1.0, 1e3):
            log_P = fitted.log_proba(scale * X)
            require_array(log_P, (len(X), K), "log_proba")
            total = logsumexp(log_P, axis=1)
            require_close(total, np.zeros(len(X)), "probabilities do not sum to one", scale=1.0)


def check_class_without_labels(model: Model) -> None:
    """A class that has no label yet has a probability all the same, or is refused in words."""
    for K in CLASSES:
        samples = without_last(labelled(K, 60), K)
        fitted = answer_or_refusal(partial(model.fit, samples, K), "with a class without a label")
        if fitted is None:
            continue
        log_P = fitted.log_proba(_pool(K))
        require_array(log_P, (len(_pool(K)), K), "log_proba")
        total = logsumexp(log_P, axis=1)
        require_close(total, np.zeros(len(total)), "probabilities do not sum to one", scale=1.0)


def check_pushforward(model: Model) -> None:
    """``pushforward`` is how predictions differ between two nearby fits, along their difference."""
    if not _differentiable(model):
        return
    for K in CLASSES:
        samples, X = labelled(K, 60), _pool(K)
        first = _fit(model, _head(samples, 59), K)
        second = _fit(model, samples, K, previous=first)
        v = second.theta - first.theta
        mean = 0.5 * (first.pushforward(X, v) + second.pushforward(X, v))
        change = second.log_proba(X) - first.log_proba(X)
        require_close(
            _centred(mean),
            _centred(change),
            f"K={K}: pushforward is not the derivative of the logits along v",
            rtol=1e-3,
        )


def check_pullback_is_transpose(model: Model) -> None:
    """``pullback`` is the transpose of ``pushforward``: <G, J v> = <J'G, v>."""
    if not _differentiable(model):
        return
    for K in CLASSES:
        fitted, X, rng = _fit(model, labelled(K, 30), K), _pool(K), np.random.default_rng(K)
        G = _centred(rng.normal(size=(len(X), K)))
        pulled = fitted.pullback(X, G)
        require_array(pulled, fitted.theta.shape, "pullback")
        for _ in range(3):
            v = rng.normal(size=fitted.theta.shape)
            require_close(
                float((pulled * v).sum()),
                float((G * fitted.pushforward(X, v)).sum()),
                f"K={K}: pullback is not the transpose of pushforward",
                scale=float(np.linalg.norm(pulled) * np.linalg.norm(v)),
                rtol=1e-8,
            )


def check_solve(model: Model) -> None:
    """``solve`` is linear, symmetric and positive, and reports a small residual."""
    if not _differentiable(model):
        return
    for K in CLASSES:
        fitted = _fit(model, labelled(K, 30), K)
        g, h = _gradients(fitted, K)
        solved_g, solved_h = fitted.solve(g), fitted.solve(h)
        for solution in (solved_g, solved_h):
            require_array(solution.x, fitted.theta.shape, "solve(g).x")
            assert 0 <= solution.relative_error < 1e-6, (
                f"K={K}: relative error {solution.relative_error:.1e}; 1e-6 is expected"
            )
        size = float(np.linalg.norm(g) * np.linalg.norm(solved_h.x))
        assert (g * solved_g.x).sum() > 0, f"K={K}: g'H^-1 g is not positive"
        require_close(
            float((g * solved_h.x).sum()),
            float((h * solved_g.x).sum()),
            f"K={K}: H^-1 is not symmetric",
            rtol=1e-6,
            scale=size,
        )
        require_close(
            fitted.solve(2.0 * g - h).x,
            2.0 * solved_g.x - solved_h.x,
            f"K={K}: solve is not linear",
            rtol=1e-6,
        )


def check_one_more_sample(model: Model) -> None:
    """-(1/n) H^-1 grad R moves the predictions as a refit with one more sample does.

    The slow road to ``solve``, ``pullback``, ``pushforward`` and ``penalty_gradient`` at once. One
    sample of n is a step of order 1/n with an error of order 1/n^2: 5 % of it are allowed.
    """
    if not _differentiable(model):
        return
    n = 800
    for K in CLASSES:
        samples, X = labelled(K, n), _pool(K)
        x, y = samples.X.mean(axis=0, keepdims=True), np.array([K - 1])
        more = Labelled(np.concatenate([samples.X, x]), np.concatenate([samples.y, y]))
        fitted = _fit(model, samples, K)
        refit = _fit(model, more, K, previous=fitted)
        residual = np.exp(fitted.log_proba(x))
        residual[0, y] -= 1.0
        gradient = fitted.pullback(x, residual)
        if model.regime == "fixed_lambda":
            gradient = gradient + fitted.penalty_gradient
        v = fitted.solve(gradient).x / -n
        require_close(
            _centred(fitted.pushforward(X, v)),
            _centred(refit.log_proba(X) - fitted.log_proba(X)),
            f"K={K}: solve does not predict what one more sample does (H is the Hessian of the "
            f"mean loss plus penalty; regime {model.regime})",
            rtol=0.05,
        )


def check_warm_start(model: Model) -> None:
    """Where a fit starts from does not matter: the optimum is the same."""
    for K in CLASSES:
        samples, X = labelled(K, 40), _pool(K)
        start = model.fit(samples, K)
        again = model.fit(samples, K, previous=start).log_proba(X)
        require_close(again, start.log_proba(X), f"K={K}: refit from its own optimum", rtol=1e-6)
        if model.regime == "fixed_C":
            warm = model.fit(samples, K, previous=model.fit(_head(samples, 30), K))
            require_close(warm.log_proba(X), start.log_proba(X), f"K={K}: a warm start", rtol=1e-5)


def check_regime(model: Model) -> None:
    """``regime`` is what the penalty does: every sample twice is the same fit if lambda stays.

    Under ``fixed_lambda`` the mean loss and the penalty are then what they were; under ``fixed_C``
    the penalty has halved, and a fit that has one is another.
    """
    for K in CLASSES:
        samples, X = labelled(K, 40), _pool(K)
        first = model.fit(samples, K)
        twice = model.fit(samples.and_(samples), K, previous=first).log_proba(X)
        once = first.log_proba(X)
        if model.regime == "fixed_lambda":
            wrong = f"K={K}: with every sample twice the fit is another; regime is not fixed_lambda"
            require_close(twice, once, wrong, rtol=1e-5)
        elif _differentiable(model) and cast(DifferentiableModel, first).penalty_gradient.any():
            change = float(np.abs(twice - once).max())
            assert change > 1e-6, (
                f"K={K}: with every sample twice the fit is the same, so that its penalty stays; "
                "regime is not fixed_C"
            )


def check_restore(model: Model) -> None:
    """``restore(checkpoint())`` is the same fit bit for bit, and so is the fit after it."""
    for K in CLASSES:
        samples, X = labelled(K, 40), _pool(K)
        first = model.fit(_head(samples, 20), K)
        fitted = model.fit(_head(samples, 30), K, previous=first)
        arrays = {name: np.array(a) for name, a in fitted.checkpoint().items()}
        for name, array in arrays.items():
            assert array.dtype.kind in "fiub", f"checkpoint: {name} is no array of numbers"
        restored = model.restore(_head(samples, 30), K, arrays)
        differentiable = []
        if _differentiable(model):
            mine, theirs = (cast(DifferentiableModel, fit) for fit in (fitted, restored))
            g, _ = _gradients(mine, K)
            differentiable = [
                ("theta", mine.theta, theirs.theta),
                ("solve", mine.solve(g).x, theirs.solve(g).x),
            ]
        for what, ours, again in (
            *differentiable,
            ("log_proba", fitted.log_proba(X), restored.log_proba(X)),
            (
                "the next fit's log_proba",
                model.fit(samples, K, previous=fitted).log_proba(X),
                model.fit(samples, K, previous=restored).log_proba(X),
            ),
        ):
            assert np.array_equal(ours, again), (
                f"K={K}: restored from its checkpoint, {what} differs"
            )


def check_float32_features(model: Model) -> None:
    """Features in single precision give the same predictions up to its round-off."""
    for K in CLASSES:
        samples, X = labelled(K, 30), _pool(K)
        single = model.fit(Labelled(samples.X.astype(np.float32), samples.y), K)
        expected = model.fit(samples, K).log_proba(X)
        log_P = single.log_proba(X.astype(np.float32))
        require_close(log_P, expected, f"K={K}: log_proba of float32 features", rtol=1e-4)


def check_float32_solve(model: Model) -> None:
    """A pool in single precision gives the direction that one in double precision gives.

    Its logit gradients sum to zero over classes only up to round-off. Along what no prediction
    sees, which an intercept without a penalty leaves without curvature, a solver would blow that
    up: centre the gradients in double precision before they are pulled back.
    """
    if not _differentiable(model):
        return
    for K in CLASSES:
        fitted = _fit(model, labelled(K, 60), K)
        X = labelled(K, 2000, seed=2).X + 3.0
        G = np.exp(fitted.log_proba(X))
        G[:, 0] -= 1.0
        rough = X.astype(np.float32)
        single = fitted.solve(fitted.pullback(rough, G.astype(np.float32)))
        expected = fitted.solve(fitted.pullback(X, _centred(G))).x
        require_close(
            _centred(fitted.pushforward(rough, single.x)),
            _centred(fitted.pushforward(X, expected)),
            f"K={K}: solve(pullback(...)) of a float32 pool; centre the gradients before the "
            f"pullback (relative_error {single.relative_error:.1e})",
            rtol=1e-3,
        )


def check_logit_variance(model: Model) -> None:
    """If "logit_variance" is offered, it is (1/n) J H^-1 J' of each class-centred logit."""
    if "logit_variance" not in model.capabilities:
        return
    for K in CLASSES:
        fitted, X = _fit(model, labelled(K, 30), K), _pool(K)[:4]
        variance = fitted.logit_variance(X)  # type: ignore[attr-defined]
        expected = np.empty((len(X), K))
        for i, k in np.ndindex(*expected.shape):
            centred = np.eye(K)[k : k + 1] - 1.0 / K
            moved = fitted.solve(fitted.pullback(X[i : i + 1], centred)).x
            expected[i, k] = (centred * fitted.pushforward(X[i : i + 1], moved)).sum() / 30
        require_close(variance, expected, f"K={K}: logit_variance is not J (nH)^-1 J'", rtol=1e-5)


def check_inputs_untouched(model: Model) -> None:
    """Fitting and asking write into neither samples nor gradients."""
    for K in CLASSES:
        samples, X = labelled(K, 30), _pool(K)
        with untouched(X=samples.X, y=samples.y, pool=X):
            fitted = model.fit(samples, K)
            fitted.log_proba(X)
        if not _differentiable(model):
            continue
        fitted = cast(DifferentiableModel, fitted)
        G = np.random.default_rng(0).normal(size=(len(X), K))
        g, v = fitted.theta.copy(), fitted.theta + 1.0
        with untouched(X=X, G=G, v=v, g=g, theta=fitted.theta):
            fitted.pullback(X, G)
            fitted.pushforward(X, v)
            fitted.solve(g)


def _differentiable(model: Model) -> bool:
    return "derivatives" in model.capabilities


def _fit(
    model: Model, samples: Labelled, K: int, previous: DifferentiableModel | None = None
) -> DifferentiableModel:
    return cast(DifferentiableModel, model.fit(samples, K, previous=previous))


def _pool(K: int) -> Features:
    return labelled(K, 12, seed=1).X


def _head(samples: Labelled, n: int) -> Labelled:
    return Labelled(samples.X[:n], samples.y[:n])


def _centred(logits: Floats) -> Floats:
    centred: Floats = logits - logits.mean(axis=1, keepdims=True)
    return centred


def _gradients(fitted: DifferentiableModel, K: int) -> tuple[Array, Array]:
    """Two right-hand sides as a goal would give them."""
    X, rng = _pool(K), np.random.default_rng(K)
    g, h = (fitted.pullback(X, _centred(rng.normal(size=(len(X), K)))) for _ in range(2))
    return g, h


CHECKS: tuple[Check, ...] = (
    check_is_model,
    check_fit_describes_itself,
    check_predictions,
    check_class_without_labels,
    check_pushforward,
    check_pullback_is_transpose,
    check_solve,
    check_one_more_sample,
    check_warm_start,
    check_regime,
    check_restore,
    check_float32_features,
    check_float32_solve,
    check_logit_variance,
    check_inputs_untouched,
)
