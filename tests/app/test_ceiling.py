"""The fit on the whole pool: once for all arms of a seed, whoever comes first, and never stale."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest

from goralx.app import ceiling
from goralx.learning import Experiment
from tests.problems import build, experiment, instance


@pytest.fixture(autouse=True)
def fits(tmp_path, monkeypatch):
    """A cache folder of one's own, and a list with an entry for every fit of a whole pool."""
    monkeypatch.setenv("GORALX_CACHE", str(tmp_path / "cache"))
    made, original = [], Experiment.full_pool

    def counted(self):
        made.append(self)
        return original(self)

    monkeypatch.setattr(Experiment, "full_pool", counted)
    return made


def test_arms_of_a_seed_share_one(fits):
    data = instance(0)
    alone = instance(0, dev=0)
    arms = [
        experiment(data, goal="dev", operator="oracle"),
        experiment(alone, strategy="random", batch_size=3, n_queries=7),
        experiment(replace(data, init=data.init[::-1]), goal="fir", monitors=("ent",)),
        experiment(data.trained_on_dev(), strategy="uncertainty"),
    ]
    found = [ceiling.full_pool(arm) for arm in arms]
    assert len(fits) == 1
    for arm, full in zip(arms, found, strict=True):
        assert list(full) == list(arm.metrics)
        assert full == pytest.approx(replace(arm).full_pool(), rel=1e-6)


def others():
    data = instance(0)
    rows = np.concatenate([data.pool[1:], data.pool[:1]])
    yield "C", experiment(data, model_options={"C": 0.5})
    yield "regime", experiment(data, model_options={"regime": "fixed_lambda"})
    yield "model", experiment(data, model="sklearn")
    yield "split", experiment(instance(1))
    yield "data", experiment(replace(data, X=data.X + 1e-9))
    yield "test set", experiment(replace(data, test=data.test[1:]))
    yield "pool", experiment(replace(data, pool=data.pool[1:]))
    yield "metrics", experiment(data, metrics={"accuracy": build("metric", "accuracy")})
    for bins in (10, 15):
        yield f"{bins} bins", experiment(data, metrics={"ece": build("metric", "ece", bins=bins)})
    yield "nothing", experiment(replace(data, pool=rows))


def test_what_it_depends_on_makes_another(fits):
    ceiling.full_pool(experiment(instance(0)))
    for n, (what, other) in enumerate(others(), start=2):
        ceiling.full_pool(other)
        assert len(fits) == (n if what != "nothing" else n - 1), what


def test_of_several_at_once_one_fits_and_the_others_wait(fits):
    found = []

    def ask():
        found.append(ceiling.full_pool(experiment(instance(0))))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(fits) == 1 and len(found) == 4
    assert all(full == found[0] for full in found)


@pytest.mark.parametrize("left", ["", "{", "[]", '{"accuracy": "x"}', '{"accuracy": 0.5}'])
def test_what_is_damaged_is_worked_out_again(fits, tmp_path, left):
    made = experiment(instance(0))
    first = ceiling.full_pool(made)
    [kept] = (tmp_path / "cache").rglob("*.json")
    kept.write_text(left)
    assert ceiling.full_pool(made) == first and len(fits) == 2
    assert ceiling.full_pool(made) == first and len(fits) == 2


def test_an_undefined_metric_stays_so(fits):
    data = instance(0)
    one_class = replace(data, test=data.test[data.y[data.test] == 0])
    metrics = {name: build("metric", name) for name in ("accuracy", "roc_auc")}
    for _ in range(2):
        assert np.isnan(ceiling.full_pool(experiment(one_class, metrics=metrics))["roc_auc"])
    assert len(fits) == 1


def test_nowhere_to_keep_it_ends_no_run(fits, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GORALX_CACHE", str(tmp_path / "file"))
    made = experiment(instance(0))
    assert ceiling.full_pool(made) == made.full_pool()


def test_where_the_pool_is_not_to_be_fit_nothing_is(fits):
    assert ceiling.full_pool(experiment(instance(0), ceiling=False)) is None and not fits
