"""Oracles: what they say, how often they err, and what they cost, each by a slower road."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq

import goralx
from goralx import ABSTAINED, Answers, Asked, BadInput
from goralx.contracts import NOT_ASKED, answered
from goralx.data import streams
from goralx.discovery import build, spelt

N, K = 24_000, 4
CLASSES = ("a", "b", "c", "d")


def instance(n=N, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, K, n)
    X = rng.normal(size=(n, 3)) + 1.5 * np.stack([y == 1, y == 2, y == 3], axis=1)
    rows = np.arange(n)
    return goralx.Instance(
        "made", X, y, CLASSES, init=rows[:8], pool=rows[8:-50], test=rows[-50:],
        dev=np.empty(0, dtype=np.int64),
    )  # fmt: skip


LARGE = instance()


def ask(name, of=LARGE, seed=0, rows=None, **options):
    rows = of.pool if rows is None else rows
    return answered(build("oracle", name, options).prepared(of), Asked(of, rows, seed))


def close(share, nominal, n, deviations=4.0):
    return abs(share - nominal) <= deviations * np.sqrt(nominal * (1 - nominal) / n) + 1e-12


def truth(of=LARGE):
    return of.y[of.pool]


# --- random numbers -------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=30), st.integers(1, 5))
def test_numbers_of_a_row_are_its_part_of_the_whole_stream(rows, size):
    rows = np.array(rows)
    whole = streams(3, "oracle /who errs").random((10_001, size))
    asked = Asked(LARGE, rows, 3).of("who")
    np.testing.assert_array_equal(asked.random("errs", size), whole[rows])


# --- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.3, 1.0])
def test_the_measured_rate_is_the_nominal_one_and_wrong_classes_are_alike(rate):
    labels, y = ask("noisy", rate=rate).labels, truth()
    wrong = labels != y
    assert close(wrong.mean(), rate, len(y))
    for k in range(K) if rate else ():
        said = np.bincount(labels[wrong & (y == k)], minlength=K) / max(1, (wrong & (y == k)).sum())
        assert said[k] == 0.0
        assert all(
            close(said[j], 1 / (K - 1), (wrong & (y == k)).sum()) for j in range(K) if j != k
        )


def test_a_confusion_matrix_is_the_one_that_is_measured():
    T = ((0.7, 0.1, 0.1, 0.1), (0.0, 1.0, 0.0, 0.0), (0.25, 0.25, 0.25, 0.25), (0.0, 0.9, 0.1, 0.0))
    labels, y = ask("noisy", confusion=T).labels, truth()
    for k in range(K):
        found = np.bincount(labels[y == k], minlength=K) / (y == k).sum()
        assert all(close(found[j], T[k][j], (y == k).sum()) for j in range(K)), k


def test_rates_of_classes_are_theirs_and_the_rate_that_of_the_others():
    labels, y = ask("noisy", rates={"b": 0.5, "c": 0.0}, rate=0.2).labels, truth()
    for k, rate in enumerate((0.2, 0.5, 0.0, 0.2)):
        assert close((labels != y)[y == k].mean(), rate, (y == k).sum())


@pytest.mark.parametrize("rate", [0.05, 0.3])
def test_errors_near_the_boundary_keep_the_rate_and_grow_with_doubt(rate):
    labels, y = ask("noisy", rate=rate, where="boundary").labels, truth()
    wrong = labels != y
    assert close(wrong.mean(), rate, len(y))
    model = build("model", "softmax").fit(LARGE.labelled(np.arange(len(y) + 8)), K)
    log_P = model.log_proba(LARGE.X[LARGE.pool])
    doubt = 1 - np.exp(log_P.max(axis=1))
    scale = brentq(lambda s: np.minimum(0.5, s * doubt).mean() - rate, 0.0, 1e6)
    chance = np.minimum(0.5, scale * doubt)
    for part in np.array_split(np.argsort(doubt), 8):
        assert close(wrong[part].mean(), chance[part].mean(), len(part))
    log_P[np.arange(len(y)), y] = -np.inf
    agrees = labels[wrong] == log_P.argmax(axis=1)[wrong]
    assert agrees.mean() > 0.99  # its fit is of all the pool, the reference's of most of it


def test_who_errs_at_a_low_rate_errs_at_a_higher_one_too():
    low, high = (ask("noisy", rate=rate).labels for rate in (0.1, 0.3))
    wrong = low != truth()
    np.testing.assert_array_equal(low[wrong], high[wrong])


def test_another_seed_errs_elsewhere():
    assert (ask("noisy", seed=1).labels != ask("noisy", seed=2).labels).mean() > 0.1


@pytest.mark.parametrize("where", ["anywhere", "boundary"])
def test_abstentions_come_at_their_rate_and_the_rest_is_what_the_other_says(where):
    found = ask("abstaining", rate=0.4, where=where, oracle="noisy rate=0.2")
    other = ask("noisy", rate=0.2)
    silent = found.labels == ABSTAINED
    assert close(silent.mean(), 0.4, N)
    np.testing.assert_array_equal(found.labels[~silent], other.labels[~silent])
    np.testing.assert_array_equal(found.cost, 1.0)
    np.testing.assert_array_equal(found.said[:, 0], found.labels)


# --- cost -----------------------------------------------------------------------------------------


def test_costs_by_norm_by_class_and_by_column(tmp_path):
    small = instance(200)
    norms = np.array([np.sqrt(sum(v * v for v in x)) for x in small.X[small.pool]])
    found = ask("costly", small, base=0.2, slope=2.0).cost
    np.testing.assert_allclose(found, 0.2 + 2.0 * norms / norms.mean(), rtol=1e-12)
    found = ask("costly", small, by="class", costs={"d": 7.0}, base=0.0, slope=1.0).cost
    np.testing.assert_array_equal(found, np.where(truth(small) == 3, 7.0, 1.0))
    path = tmp_path / "texts.jsonl"
    words = [" ".join(["word"] * (i % 9)) for i in range(200)]
    path.write_text("".join(json.dumps({"text": t, "row": i}) + "\n" for i, t in enumerate(words)))
    options = {"by": "column", "path": str(path), "column": "text", "base": 1.0, "slope": 0.5}
    expected = [1.0 + 0.5 * len(words[i].split()) for i in small.pool]
    np.testing.assert_array_equal(ask("costly", small, **options).cost, expected)


def test_a_price_multiplies_what_the_other_takes():
    small = instance(200)
    found = ask("costly", small, by="class", base=3.0, slope=0.0, oracle="annotators")
    np.testing.assert_array_equal(found.cost, 9.0)
    assert found.said.shape == (len(small.pool), 3)


# --- several annotators ---------------------------------------------------------------------------


@given(st.integers(1, 5).flatmap(lambda a: st.lists(
    st.lists(st.integers(NOT_ASKED, K - 1), min_size=a, max_size=a), min_size=1, max_size=20
)), st.randoms(use_true_random=False))  # fmt: skip
def test_a_vote_is_what_most_said_and_ties_are_broken_evenly(said, random):
    ties = np.array([random.random() for _ in said])
    names = [str(i) for i in range(len(said[0]))]
    found = Answers.by_vote(np.array(said), np.ones(len(said)), names, ties, K)
    for votes, tie, label in zip(said, ties, found.labels):
        counts = [votes.count(k) for k in range(K)]
        first = [k for k in range(K) if counts[k] == max(counts) > 0]
        assert label == (first[int(tie * len(first))] if first else ABSTAINED)


def test_annotators_err_by_themselves_and_majorities_less_than_any():
    found = ask("annotators", annotators=("noisy rate=0.2",) * 3)
    wrong = found.said != truth()[:, None]
    assert all(close(wrong[:, i].mean(), 0.2, N) for i in range(3))
    assert close((wrong[:, 0] & wrong[:, 1]).mean(), 0.04, N)
    assert (found.labels != truth()).mean() < 0.15
    np.testing.assert_array_equal(found.cost, 3.0)


def test_one_at_a_time_asks_each_of_them_as_often_and_pays_for_one():
    found = ask("annotators", each=1)
    asked = found.said != NOT_ASKED
    np.testing.assert_array_equal(asked.sum(axis=1), 1)
    assert all(close(share, 1 / 3, N) for share in asked.mean(axis=0))
    np.testing.assert_array_equal(found.cost, 1.0)
    np.testing.assert_array_equal(found.labels, found.said.max(axis=1))
    whole = ask("annotators")  # who is asked says what he would have said among all
    np.testing.assert_array_equal(found.said[asked], whole.said[asked])


# --- files ----------------------------------------------------------------------------------------


def written(tmp_path, lines, name="labels.csv"):
    path = tmp_path / name
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def test_a_file_has_several_annotators_by_name_or_by_their_order(tmp_path):
    small = instance(100)
    by_name = ["pool_id,annotator,label,cost", "20,eve,a,2", "20,bob,b,", "20,ann,b,1", "21,ann,,3"]
    found = ask("file", small, rows=np.array([20, 21, 22]), path=written(tmp_path, by_name))
    assert found.annotators == ("eve", "bob", "ann")
    assert found.labels.tolist() == [1, ABSTAINED, ABSTAINED]
    assert found.cost.tolist() == [4.0, 3.0, 1.0]
    assert found.said.tolist() == [[0, 1, 1], [-2, -2, -1], [-1, -2, -2]]
    lines = [json.dumps({"id": i, "label": y}) for i, y in ((9, "c"), (10, None), (9, "c"))]
    path = written(tmp_path, lines, "labels.jsonl")
    found = ask("file", small, rows=np.array([10, 9]), path=path)
    assert found.labels.tolist() == [ABSTAINED, 2] and found.said.tolist() == [[-1, -2], [2, 2]]


def test_lines_in_the_order_of_the_rows_need_no_numbers(tmp_path):
    small = instance(100)
    path = written(tmp_path, ["label", *(CLASSES[y] for y in small.y)])
    np.testing.assert_array_equal(ask("file", small, path=path).labels, truth(small))


def test_each_asks_only_those_that_are_there(tmp_path):
    small = instance(100)
    lines = ["id,annotator,label", *(f"{i},{who},a" for i in small.pool for who in "xyz"[: i % 3])]
    path = written(tmp_path, lines)
    found = ask("file", small, path=path, each=1)
    there = small.pool % 3 > 0
    np.testing.assert_array_equal((found.said >= 0).sum(axis=1), there)
    np.testing.assert_array_equal(found.labels, np.where(there, 0, ABSTAINED))


@pytest.mark.parametrize(
    ("lines", "options", "said"),
    [
        (["id,label", "20,zebra"], {}, r"line 1: no class is called 'zebra'; allowed: a, b, c, d"),
        (["id,label", "20,a"], {"missing": "refuse"}, "no label of 41 of 42 pool samples"),
        (["id,label", "x,a"], {}, r"line 1: id 'x' is no row of the data; allowed: 0 to 99"),
        (["id,label", "100,a"], {}, "line 1: id '100' is no row"),
        (["label", "a"], {}, "1 lines for 100 rows, and no column pool_id, id, row"),
        (["id,answer", "20,a"], {}, "oracle.label: column of labels.csv"),
        (["id,label", "20,a"], {"annotator": "who"}, "oracle.annotator: column of labels.csv"),
        (["id,who,label", "20,x,a", "20,x,b"], {"annotator": "who"}, "x labels row 20 more than"),
        (["id,label,cost", "20,a,-1"], {}, "line 1: a cost of '-1'; allowed"),
        (["id,label"], {}, "has no lines"),
    ],
)
def test_a_file_that_will_not_do_is_refused_in_words(tmp_path, lines, options, said):
    with pytest.raises((BadInput, goralx.UnknownName), match=said):
        ask("file", instance(100), path=written(tmp_path, lines), **options)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("noisy", {"rate": 1.5}, r"oracle\.rate=1.5; allowed: 0 to 1"),
        ("noisy", {"rate": float("nan")}, r"oracle\.rate=nan"),
        ("noisy", {"rates": {"a": -1.0}}, r"oracle\.rates\.a=-1"),
        ("noisy", {"rates": {"z": 0.5}}, r"oracle\.rates\.z: no class is called so"),
        ("noisy", {"rate": 0.6, "where": "boundary"}, "up to 0.5"),
        ("noisy", {"where": "there"}, "allowed: anywhere, boundary"),
        ("noisy", {"confusion": ((1.0, 0.0), (0.0, 1.0))}, "expected 4 rows of 4"),
        ("noisy", {"confusion": ((0.5,) * 4,) * 4}, "sum to 1"),
        ("noisy", {"confusion": ((0.25,) * 4,) * 4, "rates": {"a": 1.0}}, "exclude one another"),
        ("abstaining", {"rate": -0.1}, r"oracle\.rate=-0.1"),
        ("abstaining", {"oracle": "noisy rate=2"}, r"oracle\.rate=2"),
        ("abstaining", {"oracle": "noisy rate=much"}, r"oracle\.oracle: noisy rate=much"),
        ("costly", {"base": -1.0}, r"oracle\.base=-1"),
        ("costly", {"by": "weight"}, "allowed: norm, class, column"),
        ("costly", {"by": "column"}, "needs oracle.path= and oracle.column="),
        ("costly", {"costs": {"a": 1.0}}, "give oracle.by=class"),
        ("annotators", {"annotators": ()}, "name at least one"),
        ("annotators", {"each": 0}, r"oracle\.each=0"),
        ("annotators", {"each": 4}, r"oracle\.each=4; allowed: up to 3"),
        ("file", {}, r"oracle\.path=labels\.csv"),
        ("file", {"path": "nowhere.csv"}, "no such file"),
    ],
)
def test_bad_options_are_refused_by_name(name, options, said):
    with pytest.raises((BadInput, goralx.UnknownName), match=said):
        ask(name, instance(100), **options)


def test_a_component_is_spelt_with_options_of_the_types_that_it_declares():
    assert spelt("oracle", "noisy", "x") == build("oracle", "noisy")
    found = spelt("oracle", "noisy rates.a=0.5 rates.b=1 rate=0 where=anywhere", "x")
    assert found == build("oracle", "noisy", {"rates": {"a": 0.5, "b": 1.0}, "rate": 0.0})
    with pytest.raises(goralx.UnknownName, match="did you mean 'noisy'"):
        spelt("oracle", "noisi rate=1", "oracle.oracle")


def test_what_a_file_holds_is_told_apart_by_its_content(tmp_path):
    one, other = (written(tmp_path, ["id,label", f"20,{y}"], f"{y}.csv") for y in "ab")
    digests = [build("oracle", "file", {"path": path}).digest() for path in (one, other)]
    assert len({*digests}) == 2
    assert digests[0] in build("oracle", "abstaining", {"oracle": f"file path={one}"}).digest()
    assert build("oracle", "noisy").digest() == ""
