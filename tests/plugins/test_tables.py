"""Tables as strangers have them: what tells rows apart, how missing is written, which encoding."""

from __future__ import annotations

import io
import re
import shlex

import numpy as np
import pandas as pd
import pytest
from pandas._libs.parsers import STR_NA_VALUES

from goralx.data import TellsRowsApart
from goralx.data.missing import PANDAS
from tests.plugins.test_files import instance, refused, used
from tests.problems import build


def frame(n=60, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "a": rng.normal(size=n),
            "b": rng.integers(0, 9, size=n),
            "y": np.array(["neg", "pos"])[np.arange(n) * 2 // n],
        }
    )


@pytest.fixture
def csv(tmp_path):
    """Write a table as ``t.csv``, or under another name, and give its path."""

    def to_file(table, name="t.csv", **options):
        path = tmp_path / name
        table.to_csv(path, **{"index": False, **options})
        return str(path)

    return to_file


# what only tells rows apart


INDEXES = {
    "counting": frame(),
    "shuffled": frame().sample(frac=1, random_state=0),
    "filtered": frame().drop(index=[3, 4, 17]),
    "a part": frame().iloc[::7].reset_index(drop=True).rename(index=lambda i: 100 + 31 * i),
    "descending": frame().iloc[::-1],
    "of two tables": pd.concat([frame(30), frame(30, seed=1)]),
    "of floats": frame().rename(index=float),
    "text": frame().rename(index="row {}".format),
}


@pytest.mark.parametrize("table", INDEXES.values(), ids=INDEXES)
def test_a_saved_index_is_refused_in_any_order(table, csv):
    path = csv(table, index=True)
    line = refused("csv", path=path, n_test=2)
    assert "dataset.exclude='Unnamed: 0'" in line
    assert instance("csv", path=path, exclude="Unnamed: 0", n_test=2).X.shape[1] == 2


def test_an_index_saved_twice_is_named_twice(csv):
    path = csv(pd.read_csv(io.StringIO(frame().to_csv())), index=True)
    line = refused("csv", path=path)
    assert "2 problems" in line and "dataset.exclude='Unnamed: 0.1,Unnamed: 0'" in line
    assert instance("csv", path=path, exclude="Unnamed: 0.1,Unnamed: 0").X.shape[1] == 2


@pytest.mark.parametrize("first", [0, 2**53 + 1, 10**18])  # neighbours are one in double precision
@pytest.mark.parametrize("order", [3, -3, 1])
def test_a_named_column_of_different_whole_numbers_is_warned_of(order, first, csv):
    table = frame().assign(id=first + np.arange(60) * order)[["id", "a", "b", "y"]]
    with pytest.warns(TellsRowsApart, match=r"column id of t\.csv.*dataset\.exclude=id"):
        assert instance("csv", path=csv(table)).X.shape[1] == 3


def test_a_file_without_header_whose_first_column_counts_is_refused(csv):
    table = frame().assign(id=np.random.default_rng(0).permutation(60))[["id", "a", "b", "y"]]
    path = csv(table, header=False)
    line = refused("csv", path=path, header=False)
    assert "column 0 counts the rows" in line and "dataset.exclude=0" in line


@pytest.mark.parametrize("make", [lambda f: f, lambda f: f.rename_axis("key"), lambda f: f[::-1]])
@pytest.mark.parametrize("dataset", ["csv", "npy"])
def test_what_pandas_calls_the_index_of_a_parquet_file_is_left_out(make, dataset, tmp_path):
    table = make(frame().drop(index=[5])).assign(y=lambda f: (f.y == "pos").astype(int))
    table.to_parquet(tmp_path / "t.parquet", index=True)
    drawn = instance(dataset, path=str(tmp_path / "t.parquet"), label="y", standardize=False)
    assert drawn.X.shape == (59, 2)
    np.testing.assert_array_equal(drawn.X[:], table[["a", "b"]])


def test_an_index_whose_metadata_got_lost_is_refused(tmp_path):
    table = frame().assign(__index_level_0__=np.arange(60))
    table[["__index_level_0__", "a", "y"]].to_parquet(tmp_path / "t.parquet", index=False)
    line = refused("csv", path=str(tmp_path / "t.parquet"))
    assert "dataset.exclude=__index_level_0__" in line


# how missing is written


def test_pandas_own_list_of_what_is_missing():
    assert set(PANDAS) == STR_NA_VALUES


@pytest.mark.parametrize("mark", [*sorted(STR_NA_VALUES), "?", " ? ", "NA "])
def test_a_number_stays_one_column_however_missing_is_written(mark, csv):
    table = frame().assign(job=np.array(["clerk", "nurse", "pilot"])[np.arange(60) % 3])
    table["a"] = table["a"].round(3).astype(str)
    table.loc[::17, "a"] = mark
    options = {"categorical": "onehot", "missing": "mean", "standardize": False}
    drawn = instance("csv", path=csv(table[["a", "b", "job", "y"]]), **options)
    assert drawn.X.shape == (60, 5)
    known = np.setdiff1d(np.arange(60), np.arange(0, 60, 17))
    np.testing.assert_array_equal(drawn.X[known, 0], frame()["a"].round(3)[known])


@pytest.mark.parametrize("mark", ["-", ".", "--", "missing", "unknown", "*", "k.A.", "<LOD"])
@pytest.mark.parametrize("categorical", ["error", "onehot", "drop"])
def test_a_mark_that_may_mean_missing_is_asked_for(mark, categorical, csv):
    table = frame().assign(a=frame()["a"].round(3).astype(str))
    table.loc[::17, "a"] = mark
    path, options = csv(table), {"categorical": categorical, "missing": "drop"}
    line = refused("csv", path=path, **options)
    word = re.search(r"dataset\.na_values=(\S+)", line)
    assert word and "column a" in line and f"e.g. {mark!r} in line 2" in line
    (value,) = shlex.split(word[1])
    drawn = instance("csv", path=path, na_values=value, **options)
    assert drawn.X.shape == (60, 2) and len(used(drawn)) == 56


def test_numbers_that_are_categories_may_be_said_to_be(csv):
    table = frame().assign(doors=np.array(["2", "4", "5more"])[np.arange(60) % 3])
    path = csv(table[["doors", "a", "b", "y"]])
    assert "dataset.onehot=doors" in refused("csv", path=path, categorical="onehot")
    spread = instance("csv", path=path, onehot=["doors", "b"], standardize=False)
    assert spread.X.shape[1] == 3 + 1 + frame()["b"].nunique()
    np.testing.assert_array_equal(spread.X[:, :3].argmax(axis=1), np.arange(60) % 3)


@pytest.mark.parametrize(
    ("decimal", "thousands", "sep"), [(",", None, ";"), (",", ".", ";"), (".", ",", "\t")]
)
def test_decimal_commas_and_thousands_are_named_and_read(decimal, thousands, sep, csv):
    values = np.round(1e4 * np.random.default_rng(0).normal(size=60), 2)

    def written(v):
        text = f"{v:,.2f}" if thousands else f"{v:.2f}"
        return text.translate(str.maketrans({",": thousands or "", ".": decimal}))

    path = csv(frame().assign(a=[written(v) for v in values]), sep=sep)
    line = refused("csv", path=path, delimiter=sep, categorical="onehot")
    assert f"set dataset.{'decimal' if decimal == ',' else 'thousands'}=," in line
    drawn = instance(
        "csv", path=path, delimiter=sep, decimal=decimal, thousands=thousands, standardize=False
    )
    np.testing.assert_array_equal(drawn.X[:, 0], values)


@pytest.mark.parametrize("unit", ["{:.1f} kg", "{:.1f}%", "${:.2f}", "{:.2f}€"])
def test_numbers_with_a_unit_are_no_categories(unit, csv):
    path = csv(frame().assign(a=[unit.format(v) for v in frame()["a"]]))
    assert "written as text: column a" in refused("csv", path=path, categorical="onehot")


# missing labels are no class


@pytest.mark.parametrize("mark", ["", "NaN", "nan", "NA", "?", "n/a", "<NA>", "None", "NaT"])
@pytest.mark.parametrize("others", [("cat", "dog"), ("0", "1"), ("1.5", "2")])
def test_a_missing_label_is_refused_or_its_row_left_out(mark, others, csv):
    table = frame().assign(y=np.array(others)[np.arange(60) % 2])
    table.loc[[4, 40], "y"] = mark
    path = csv(table)
    line = refused("csv", path=path, missing="mean")
    assert "missing label in line 6, column 'y' (2 in that column)" in line
    assert "dataset.missing=drop" in line and "mean" not in line
    drawn = instance("csv", path=path, missing="drop", standardize=False)
    assert drawn.classes == others and not {4, 40} & set(used(drawn).tolist())
    assert [drawn.classes[drawn.y[i]] for i in used(drawn)] == table["y"][used(drawn)].tolist()
    if mark:
        assert "dataset.na_labels=class" in line
        drawn = instance("csv", path=path, na_labels="class", n_test=20, n_init=3)
        assert mark in drawn.classes


def test_rows_are_those_of_the_file_where_some_are_dropped(csv):
    table = frame()
    table.loc[[0, 7, 31, 59], "a"] = np.nan
    drawn = instance("csv", path=csv(table), missing="drop", standardize=False)
    rows = used(drawn)
    np.testing.assert_array_equal(rows, table.index[table["a"].notna()])
    np.testing.assert_array_equal(drawn.X[rows], table.loc[rows, ["a", "b"]])
    assert [drawn.classes[k] for k in drawn.y[rows]] == table.loc[rows, "y"].tolist()


@pytest.mark.parametrize(
    "names", [["007", "010", "7"], ["$5", "_no", "日本"], ["1.0", "2.0", "10"]]
)
def test_class_names_stay_as_they_are_written(names, csv):
    drawn = instance("csv", path=csv(frame().assign(y=np.array(names)[np.arange(60) % 3])))
    assert set(drawn.classes) == set(names)
    assert [drawn.classes[k] for k in drawn.y] == np.array(names)[np.arange(60) % 3].tolist()


def test_numbers_sort_by_value_though_they_are_names(csv):
    drawn = instance(
        "csv", path=csv(frame().assign(y=np.array(["9", "10", "08"])[np.arange(60) % 3]))
    )
    assert drawn.classes == ("08", "9", "10")


# a header that is none


HEADERLESS = {
    "adult": lambda r, y: {0: r.integers(18, 80, 80), 1: r.choice(["Private", "State"], 80), 2: y},
    "car": lambda r, y: {0: r.choice(["high", "low"], 80), 1: r.choice(["two", "more"], 80), 2: y},
    "abalone": lambda r, y: {0: r.choice(["M", "F"], 80), 1: r.normal(size=80), 2: y},
    "votes": lambda r, y: {i: r.choice(["y", "n"], 80) for i in range(5)} | {5: y},
    "sonar": lambda r, y: {i: r.normal(size=80) for i in range(5)} | {5: y},
    "digits": lambda r, y: {i: r.integers(0, 17, 80) for i in range(5)} | {5: (y == "yes") * 1},
    "sentences": lambda r, y: {0: [f"text {i} of many" for i in range(80)], 1: (y == "yes") * 1},
}


@pytest.mark.parametrize("make", HEADERLESS.values(), ids=HEADERLESS)
@pytest.mark.parametrize("seed", range(3))
def test_a_first_sample_is_not_taken_for_a_header(make, seed, csv):
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(make(rng, np.where(rng.random(80) < 0.5, "yes", "no")))
    path = csv(table, header=False)
    line = refused("csv", path=path, categorical="onehot")
    assert "looks like a sample" in line and "dataset.header=false" in line
    options = {"encoder": "terms"} if table.shape[1] == 2 else {"categorical": "onehot"}
    assert len(instance("csv", path=path, header=False, **options).y) == 80


@pytest.mark.parametrize(
    "names",
    [["0", "1", "y"], ["400", "410", "y"], ["a b", "Größe", "label"], ["2019", "2020", "2021"]],
)
def test_a_header_is_a_header(names, csv):
    table = frame().set_axis(names, axis=1)
    path = csv(table)
    assert len(instance("csv", path=path, header=True).y) == 60
    if names[0] == "0":  # numbers that are among those below are asked about
        assert "dataset.header=true" in refused("csv", path=path)
    else:
        assert len(instance("csv", path=path).y) == 60


# encodings


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_unicode_is_told_by_the_file(encoding, csv):
    table = (
        frame().rename(columns={"a": "Größe"}).assign(y=np.array(["Grün", "赤"])[np.arange(60) % 2])
    )
    drawn = instance("csv", path=csv(table, encoding=encoding), label="y")
    assert drawn.classes == ("Grün", "赤")


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.csv.zip"])
@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
def test_one_byte_encodings_are_asked_for(name, encoding, csv):
    table = frame().assign(
        y=np.array(["Grün", "1 €" if encoding == "cp1252" else "rot"])[np.arange(60) % 2]
    )
    path = csv(table, name, encoding=encoding)
    line = refused("csv", path=path)
    assert "is not UTF-8" in line and f"dataset.encoding={encoding}" in line
    assert "Grün" in instance("csv", path=path, encoding=encoding).classes
    assert "no encoding" in refused("csv", path=path, encoding="latin-one")
    assert "is not ASCII: byte 0xFC in line 2" in refused("csv", path=path, encoding="ascii")


# all that is wrong, at once, and advice that can be followed


def test_all_problems_of_a_file_are_told_at_once(csv):
    table = frame().assign(
        empty=np.nan,
        city=np.array(["Oslo", "Rome"])[np.arange(60) % 2],
        mixed=["-", *map(str, range(59))],
        review=[f"a long text, number {i}" for i in range(60)],
        hole=np.where(np.arange(60) == 7, np.nan, 1.5),
    )
    path = csv(table[["empty", "city", "mixed", "review", "hole", "a", "y"]], index=True)
    line = refused("csv", path=path)
    for name in ("Unnamed: 0", "empty", "city", "mixed", "review", "hole"):
        assert name in line
    assert "6 problems" in line
    word = re.search(r"dataset\.exclude=('[^']*'|\S+)", line)
    assert word is not None
    options = {"categorical": "onehot", "missing": "drop", "na_values": "-"}
    drawn = instance("csv", path=path, exclude=shlex.split(word[1])[0], **options)
    assert len(used(drawn)) == 58


def test_what_is_to_be_left_out_goes_on_being_left_out(csv):
    path = csv(frame().assign(empty=np.nan, e2=np.nan)[["a", "b", "empty", "e2", "y"]])
    assert "dataset.exclude=b,empty,e2" in refused("csv", path=path, exclude="b")


# text columns


def reviews(n=80):
    rng = np.random.default_rng(0)
    words = ["good", "bad", "film", "plot", "actor", "awful", "great", "slow"]
    texts = [" ".join(rng.choice(words, 8)) for _ in range(n)]
    labels = np.where(["good" in t for t in texts], "pos", "neg")
    return pd.DataFrame({"text": texts, "stars": rng.integers(1, 6, n), "label": labels})


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GORALX_CACHE", str(tmp_path / "cache"))


def test_a_column_of_text_is_offered_to_an_encoder(csv, cache):
    path = csv(reviews())
    line = refused("csv", path=path)
    assert "text: column text" in line and "dataset.encoder=tfidf" in line
    drawn = instance("csv", path=path, encoder="tfidf", n_components=7, standardize=False)
    assert drawn.X.shape == (80, 8)
    np.testing.assert_array_equal(drawn.X[:, 0], reviews()["stars"])
    assert instance("csv", path=path, text="text", exclude="stars").X.shape[1] > 20


def test_terms_of_a_text_column_stay_sparse_beside_numbers(csv):
    drawn = instance("csv", path=csv(reviews()), encoder="terms", standardize=False)
    alone = build("dataset", "csv", path=csv(reviews()), encoder="terms", exclude="stars")
    assert not isinstance(drawn.X, np.ndarray)
    np.testing.assert_array_equal(drawn.X.rows[:, [0]].toarray()[:, 0], reviews()["stars"])
    assert alone.instance(np.random.default_rng(0)).X.shape[1] == drawn.X.shape[1] - 1


def test_a_missing_text_drops_its_row_or_is_empty(csv):
    table = reviews()
    table.loc[5, "text"] = np.nan
    path, options = csv(table), {"encoder": "terms", "standardize": False}
    assert "missing value in line 7, column 'text'" in refused("csv", path=path, **options)
    drawn = instance("csv", path=path, missing="drop", **options)
    assert 5 not in used(drawn) and drawn.X.rows[[5]].nnz == 0


def test_encoders_that_cannot_be_are_refused(csv):
    assert "no column holds text" in refused("csv", path=csv(frame()), encoder="tfidf")
    assert "dataset.encoder=bert" in refused("csv", path=csv(reviews()), encoder="bert")
    assert "dataset.text=nothing" in refused("csv", path=csv(reviews()), text="nothing")
    assert "allowed: 1 to" in refused("csv", path=csv(reviews()), encoder="tfidf", n_components=99)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet", ".jsonl.gz"])
def test_texts_of_any_file_are_a_data_set(suffix, tmp_path, cache):
    table, path = reviews().assign(id=range(80)), tmp_path / f"reviews{suffix}"
    if "jsonl" in suffix:
        table.to_json(path, orient="records", lines=True)
    elif suffix == ".parquet":
        table.to_parquet(path)
    else:
        table.to_csv(path, index=False, sep="\t" if suffix == ".tsv" else ",")
    options = {"path": str(path), "label": "label", "encoder": "terms"}
    drawn = instance("text", **options)
    assert drawn.classes == ("neg", "pos") and len(drawn.y) == 80
    assert [drawn.classes[k] for k in drawn.y] == table["label"].tolist()
    np.testing.assert_array_equal(
        instance("csv", **options, exclude="id,stars", standardize=False).X.rows.toarray(),
        drawn.X.rows.toarray(),
    )
    assert instance("text", **{**options, "encoder": "tfidf", "n_components": 5}).X.shape == (80, 5)


def test_short_texts_are_texts_where_nothing_else_is(csv, cache):
    table = pd.DataFrame({"n": range(60), "word": [f"w{i % 7}" for i in range(60)]})
    path = csv(table.assign(y=np.arange(60) % 2))
    assert instance("text", path=path, encoder="terms").X.shape[1] == 7
    assert "name one by dataset.text=a" in refused("text", path=csv(frame()))


def test_a_line_with_too_many_fields_is_named(tmp_path):
    lines = ["a,b,kind", *(f"{i}.5,{i % 3},{'xy'[i % 2]}" for i in range(40))]
    lines[10] += ",9"
    (tmp_path / "t.csv").write_text("\n".join(lines))
    line = refused("csv", path=str(tmp_path / "t.csv"))
    assert "line 11 has 4 fields where the others have 3" in line and "in quotes" in line


def test_a_comment_is_not_taken_for_columns(tmp_path):
    (tmp_path / "t.csv").write_text("# made by hand\na,b,kind\n1,2,x\n2,1,y\n")
    line = refused("csv", path=str(tmp_path / "t.csv"))
    assert "first line is a comment" in line and "delimiter" not in line
