"""Data of the user's own: what is read, and the one line that says why something is not."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import json

import numpy as np
import pandas as pd
import pytest

from goralx import BadInput, GoralxError
from goralx.discovery import registry


def instance(name, seed=0, **options):
    return registry().build("dataset", name, options).instance(np.random.default_rng(seed))


def table(n=40):
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "a": rng.normal(size=n).round(4),
            "b": rng.integers(0, 50, size=n),
            "kind": np.array(["cat", "dog"])[np.arange(n) % 2],
        }
    )


def used(drawn):
    """The rows that play a part, in order."""
    return np.sort(np.concatenate([drawn.init, drawn.pool, drawn.test]))


def refused(name, **options):
    """The line that a data set refuses with."""
    with pytest.raises(GoralxError) as caught:
        instance(name, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def write(tmp_path):
    """Write text as ``data.csv``, or under another name, and give its path."""

    def to_file(text, name="data.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    return to_file


# csv: what is read


def csv_bytes(sep=","):
    return table().to_csv(index=False, sep=sep).encode()


@pytest.mark.parametrize(
    ("name", "content", "options"),
    [
        ("data.csv", csv_bytes(), {}),
        ("data.CSV", csv_bytes(), {"label": "kind"}),
        ("data.tsv", csv_bytes("\t"), {"label": "2"}),
        ("data.txt", csv_bytes(";"), {"delimiter": ";", "label": "-1"}),
        ("data.csv.gz", gzip.compress(csv_bytes()), {}),
        ("data.csv.bz2", bz2.compress(csv_bytes()), {}),
        ("v1.2.csv", b"\xef\xbb\xbf" + csv_bytes().replace(b"\n", b"\r\n"), {}),
        ("data.data", csv_bytes().split(b"\n", 1)[1], {"header": False}),
    ],
)
def test_a_table_in_any_of_the_formats(name, content, options, write):
    drawn = instance("csv", path=write(content, name), standardize=False, **options)
    expected = table()
    np.testing.assert_array_equal(drawn.X, expected[["a", "b"]].to_numpy(dtype=float))
    assert [drawn.classes[k] for k in drawn.y] == expected["kind"].tolist()
    assert (len(drawn.init), len(drawn.test), len(drawn.pool)) == (4, 10, 26)
    assert name in drawn.source


def test_a_parquet_file_with_types_of_its_own(tmp_path):
    frame = table()
    frame["b"] = frame["b"].astype("Int64")
    frame["flag"] = frame["a"] > 0
    frame["kind"] = frame["kind"].astype("category")
    frame.to_parquet(tmp_path / "data.parquet")
    drawn = instance("csv", path=str(tmp_path / "data.parquet"), label="kind", standardize=False)
    np.testing.assert_array_equal(drawn.X[:, 2], (frame["a"] > 0).astype(float))
    assert drawn.classes == ("cat", "dog") and drawn.X.shape == (40, 3)


def test_the_label_may_be_any_column_and_its_numbers_sort_by_value(write):
    frame = table().assign(kind=np.array([10, 9, 100])[np.arange(40) % 3])
    frame = frame[["kind", "a", "b"]]
    for label in ("kind", "0", "-3"):
        drawn = instance("csv", path=write(frame.to_csv(index=False)), label=label)
        assert drawn.classes == ("9", "10", "100")
        assert [int(drawn.classes[k]) for k in drawn.y] == frame["kind"].tolist()


def test_blank_lines_are_no_samples(write):
    text = csv_bytes().decode().replace("\n", "\n\n", 5) + "\n\n"
    drawn = instance("csv", path=write(text), standardize=False)
    assert len(used(drawn)) == 40
    lines = text.splitlines()
    for row in used(drawn):  # row 0 is the line below the header
        assert float(lines[row + 1].split(",")[0]) == drawn.X[row, 0]


def test_sizes_and_columns_are_options(write):
    path = write(csv_bytes())
    drawn = instance("csv", path=path, n_init=6, n_test=8, exclude=" b ", standardize=False)
    assert drawn.X.shape == (40, 1)
    assert (len(drawn.init), len(drawn.test), len(drawn.pool)) == (6, 8, 26)


def test_wide_tables_may_have_numbers_for_names(write):
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(20, 30)))
    frame["target"] = np.arange(20) % 2
    assert instance("csv", path=write(frame.to_csv(index=False))).X.shape == (20, 30)


# csv: what is missing, what is no number


def holes():
    """Two features, the first missing in lines 4 and 7, the label never."""
    lines = csv_bytes().decode().splitlines()
    for line, token in ((4, "?"), (7, "")):
        _, b, kind = lines[line - 1].split(",")
        lines[line - 1] = f"{token},{b},{kind}"
    return "\n".join(lines) + "\n"


def test_missing_values_are_refused_dropped_or_filled(write):
    path, frame = write(holes()), table()
    line = refused("csv", path=path)
    assert "line 4, column 'a' (2 in that column)" in line and "dataset.missing" in line
    dropped = instance("csv", path=path, missing="drop", standardize=False)
    kept = np.setdiff1d(np.arange(40), [2, 5])
    np.testing.assert_array_equal(used(dropped), kept)
    np.testing.assert_array_equal(dropped.X[kept], frame[["a", "b"]].to_numpy()[kept])
    assert "2 rows with missing values dropped" in dropped.source
    filled = instance("csv", path=path, missing="mean", standardize=False)
    part = np.setdiff1d(np.union1d(filled.pool, filled.init), [2, 5])
    np.testing.assert_allclose(filled.X[[2, 5], 0], frame["a"].to_numpy()[part].mean())
    assert len(filled.y) == 40


def test_a_missing_label_is_never_filled(write):
    lines = csv_bytes().decode().splitlines()
    lines[2] = lines[2].rsplit(",", 1)[0] + ","
    path = write("\n".join(lines))
    assert "missing label in line 3, column 'kind'" in refused("csv", path=path, missing="mean")
    assert len(used(instance("csv", path=path, missing="drop"))) == 39


def test_columns_that_are_no_numbers_are_refused_spread_or_left_out(write):
    frame = table()
    frame.insert(1, "city", np.array(["Oslo", "Rome", "Bern"])[np.arange(40) % 3])
    path = write(frame.to_csv(index=False))
    line = refused("csv", path=path)
    assert "columns city (e.g. 'Oslo' in line 2)" in line and "onehot" in line
    spread = instance("csv", path=path, categorical="onehot", standardize=False)
    expected = np.column_stack([frame["city"] == c for c in ("Bern", "Oslo", "Rome")])
    np.testing.assert_array_equal(spread.X[:, 1:4], expected)
    np.testing.assert_array_equal(spread.X[:, [0, 4]], frame[["a", "b"]])
    assert instance("csv", path=path, categorical="drop").X.shape == (40, 2)
    assert instance("csv", path=path, exclude="city").X.shape == (40, 2)


def test_a_missing_category_is_filled_by_the_frequencies(write):
    frame = table().assign(city=np.array(["x", "y"])[np.arange(40) // 20])
    frame.loc[3, "city"] = None
    frame = frame[["city", "a", "kind"]]
    path = write(frame.to_csv(index=False))
    drawn = instance("csv", path=path, categorical="onehot", missing="mean", standardize=False)
    part = np.setdiff1d(np.union1d(drawn.pool, drawn.init), [3])
    np.testing.assert_allclose(drawn.X[3, :2], drawn.X[part, :2].mean(axis=0))
    np.testing.assert_allclose(drawn.X[3, :2].sum(), 1.0)


def test_the_value_that_spoils_a_column_of_numbers_is_named(write):
    lines = csv_bytes().decode().splitlines()
    lines[30] = "12a" + lines[30][lines[30].index(",") :]
    assert "(e.g. '12a' in line 31)" in refused("csv", path=write("\n".join(lines)))


# csv: what is refused


@pytest.mark.parametrize(
    ("content", "options", "says"),
    [
        (b"", {}, "is empty"),
        (b"a,b,kind\n", {}, "has no rows"),
        (b"\n\n\n", {}, "data.csv"),
        (b"\x93NUMPY\x01\xff\xfe\x00", {}, "data.csv"),
        (b"a,b,kind\n1,2,x\n1,2,3,x\n", {}, "cannot read"),
        (b"a,kind\n" + b"1,x,\n2,y,\n" * 8, {}, "cannot read"),
        (b'a,kind\n"1,x\n', {}, "cannot read"),
        (csv_bytes(";"), {}, "set dataset.delimiter"),
        (csv_bytes(), {"label": "kin"}, "did you mean 'kind'? · there are a, b, kind"),
        (csv_bytes(), {"label": "3"}, "a number from 0 to 2"),
        (csv_bytes(), {"label": "b", "exclude": "kind"}, "regression target or an identifier"),
        (csv_bytes(), {"label": "a", "exclude": "kind"}, "regression target or an identifier"),
        (csv_bytes(), {"exclude": "c"}, "dataset.exclude=c is no feature column; there are a, b"),
        (csv_bytes(), {"exclude": "kind"}, "dataset.exclude=kind is no feature column"),
        (csv_bytes(), {"exclude": "a,b"}, "no feature columns are left"),
        (csv_bytes().replace(b"dog", b"cat"), {}, "only one class, 'cat'"),
        (b"\n".join(csv_bytes().splitlines()[:5]), {}, "fewer than the split needs"),
        (csv_bytes(), {"n_test": 40}, "fewer than the split needs"),
        (csv_bytes(), {"n_init": 1}, "n_init >= 2"),
        (csv_bytes().split(b"\n", 1)[1].replace(b"cat", b"1").replace(b"dog", b"2"), {}, "header"),
        (csv_bytes().replace(b"\n", b",inf\n").replace(b"kind,inf", b"kind,c"), {"label": "kind"},
         "infinite value in line 2, column 'c'"),
        (table().to_csv().encode(), {}, "set dataset.exclude='Unnamed: 0'"),
        (b"a,kind\n" + b"".join(b"text%d,%d\n" % (i, i % 2) for i in range(202)),
         {"categorical": "onehot"}, "column 'a' has 202 different texts"),
        (csv_bytes(), {"missing": "zero"}, "allowed: error, drop, mean"),
        (csv_bytes(), {"categorical": "ordinal"}, "allowed: error, onehot, drop"),
        (csv_bytes(), {"delimiter": "||"}, "a single character"),
    ],
)  # fmt: skip
def test_a_table_is_refused_in_one_line(content, options, says, write):
    assert says in refused("csv", path=write(content), **options)


def test_what_is_printed_for_infinite_values_works(write):
    content = b"a,b,kind\n" + b"".join(
        b"%d.5,%s,%s\n"
        % (i, b"-inf" if i == 7 else b"%d.25" % (i * i % 17), b"xy"[i % 2 : i % 2 + 1])
        for i in range(60)
    )
    said = refused("csv", path=write(content))
    assert "infinite value in line 9, column 'b'" in said
    assert "leave infinite cells empty and set dataset.missing=drop" in said
    assert "set dataset.exclude=b " in said
    assert instance("csv", path=write(content), exclude="b").X.shape == (60, 1)
    emptied = write(content.replace(b"-inf", b""))
    assert len(used(instance("csv", path=emptied, missing="drop"))) == 59
    assert np.isfinite(instance("csv", path=emptied, missing="mean").X).all()


def test_files_that_are_no_tables_are_refused(write, tmp_path):
    assert "dataset.path=table.csv" in refused("csv")
    assert "no such file" in refused("csv", path=str(tmp_path / "no.csv"))
    assert "allowed: files .csv" in refused("csv", path=str(tmp_path))
    assert "allowed: files .csv" in refused("csv", path=write(b"x", "data.xlsx"))
    assert "cannot read" in refused("csv", path=write(gzip.compress(csv_bytes())[:50], "a.csv.gz"))
    assert "cannot read" in refused("csv", path=write(csv_bytes(), "b.csv.gz"))
    assert "cannot read" in refused("csv", path=write(b"PAR1 no", "c.parquet"))


# npz


def test_arrays(tmp_path):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 3)).astype(np.float32), np.array(["u", "v"])[np.arange(40) % 2]
    np.savez_compressed(tmp_path / "mine.npz", X=X, y=y, other=np.zeros(1))
    drawn = instance("npz", path=str(tmp_path / "mine.npz"), standardize=False)
    np.testing.assert_array_equal(drawn.X, X)
    assert drawn.X.dtype == np.float32 and drawn.classes == ("u", "v")
    assert (len(drawn.init), len(drawn.test), len(drawn.pool)) == (4, 10, 26)


X40, Y40 = np.random.default_rng(0).normal(size=(40, 3)), np.arange(40) % 2


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"X": X40}, "has no array y; it has X; needed: X, y"),
        ({"X": X40, "y": Y40[:30]}, "40 rows of features but 30 labels"),
        ({"X": X40[0], "y": Y40}, "shape (3,)"),
        ({"X": np.where(X40 > 2, np.nan, X40), "y": Y40}, "nan in row"),
        ({"X": X40, "y": X40[:, 0]}, "regression target"),
        ({"X": X40, "y": np.array([{"a": 1}] * 40, dtype=object)}, "y=y.astype(str)"),
        ({"X": X40.astype(str).astype(object), "y": Y40}, "X=X.astype(float)"),
        ({"X": np.full((40, 2), "a"), "y": Y40}, "features must be numbers"),
    ],
)
def test_arrays_that_are_refused(arrays, says, tmp_path):
    np.savez(tmp_path / "bad.npz", **arrays)
    assert says in refused("npz", path=str(tmp_path / "bad.npz"))


def test_files_that_are_no_archives_of_arrays_are_refused(write, tmp_path):
    np.save(tmp_path / "x.npy", X40)
    assert "dataset.path=arrays.npz" in refused("npz")
    for path in (
        write(b"", "a.npz"),
        write(b"\x80\x04\x95 pickle", "b.npz"),
        write(b"PK\x03\x04 cut", "c.npz"),
        str(tmp_path / "x.npy"),
        str(tmp_path),
    ):
        assert "not a readable .npz" in refused("npz", path=path)


# openml


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A cache folder of scikit-learn's with one small data set, number 990, called tiny."""
    monkeypatch.setenv("GORALX_DATA", str(tmp_path))
    root = tmp_path / "openml_home" / "openml" / "openml.org"
    rng = np.random.default_rng(0)
    colours = ["?" if i == 7 else "red" if i % 3 else "blue" for i in range(40)]
    lines = [f"{rng.normal():.4f},{c},{'yes' if i % 2 else 'no'}" for i, c in enumerate(colours)]
    arff = (
        "@relation tiny\n@attribute size numeric\n@attribute colour {red,blue}\n"
        "@attribute answer {no,yes}\n@data\n" + "\n".join(lines) + "\n"
    ).encode()
    description = {
        "id": "990", "name": "tiny", "version": "1", "description": "", "format": "ARFF",
        "url": "https://www.openml.org/data/v1/download/77/tiny.arff", "file_id": "77",
        "default_target_attribute": "answer", "status": "active",
        "md5_checksum": hashlib.md5(arff).hexdigest(),
    }  # fmt: skip
    features = [
        {"index": str(i), "name": name, "data_type": kind, "is_target": str(i == 2).lower(),
         "is_ignore": "false", "is_row_identifier": "false", "number_of_missing_values": "0"}
        for i, (name, kind) in enumerate(
            [("size", "numeric"), ("colour", "nominal"), ("answer", "nominal")]
        )
    ]  # fmt: skip
    listed = {"did": 990, "name": "tiny", "version": 1, "status": "active", "format": "ARFF"}
    quality = {"quality": [{"name": "NumberOfInstances", "value": "40"}]}
    api = "api/v1/json/data"
    replies = {
        f"{api}/990": {"data_set_description": description},
        f"{api}/features/990": {"data_features": {"feature": features}},
        f"{api}/qualities/990": {"data_qualities": quality},
        f"{api}/list/data_name/tiny/limit/2/data_version/1": {"data": {"dataset": [listed]}},
    }
    contents = {name: json.dumps(reply).encode() for name, reply in replies.items()}
    for name in ("data/v1/download/77", "data/v1/download/77/tiny.arff"):
        contents[name] = arff
    for name, content in contents.items():
        path = root / f"{name}.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(content))
    return tmp_path / "openml_home"


@pytest.mark.parametrize("which", [{"data_id": 990}, {"data_name": "tiny"}])
@pytest.mark.parametrize("given", [True, False])
def test_openml_from_a_cache_folder(which, given, home, monkeypatch):
    if given:
        monkeypatch.delenv("GORALX_DATA")
        which = {**which, "data_home": str(home)}
    drawn = instance("openml", categorical="onehot", missing="drop", standardize=False, **which)
    kept = np.setdiff1d(np.arange(40), [7])
    np.testing.assert_array_equal(used(drawn), kept)
    assert drawn.classes == ("no", "yes") and drawn.X.shape == (40, 3)
    np.testing.assert_array_equal(drawn.X[kept, 1], kept % 3 == 0)
    assert drawn.source.startswith("OpenML tiny, version 1, label answer, 1 rows")


def test_openml_takes_another_label_and_names_what_it_refuses(home):
    drawn = instance("openml", data_id=990, label="colour", exclude="answer", missing="drop")
    assert drawn.classes == ("blue", "red") and drawn.X.shape == (40, 1)
    assert "columns colour (e.g. 'blue' in row 1)" in refused("openml", data_id=990)
    line = refused("openml", data_id=990, categorical="onehot")
    assert "row 8, column 'colour'" in line
    assert "OpenML, data_id=990" in refused("openml", data_id=990, label="nothing")


def test_openml_needs_one_name(home, tmp_path):
    assert "one of the two" in refused("openml")
    assert "one of the two" in refused("openml", data_id=990, data_name="tiny")
    assert "counts versions from 1" in refused("openml", data_name="tiny", version=0)
    assert "no such file" in refused("openml", data_id=990, data_home=str(tmp_path / "no"))
    assert "no folder openml" in refused("openml", data_id=990, data_home=str(tmp_path))


def test_the_options_of_all_three_are_refused_out_of_range():
    for name in ("csv", "npz", "openml"):
        cls = registry().component("dataset", name).cls
        for options in ({"n_test": 0}, {"n_init": 0}, {"C": -1.0}):
            with pytest.raises(BadInput, match=r"dataset\."):
                cls(**options)


# groups


def test_a_column_of_groups_is_no_feature_and_stands_beside_every_row(write):
    frame = table()
    frame["site"] = np.array(["Bern", "Aarau", " Zug "])[np.arange(40) % 3]
    frame.loc[5, "site"] = np.nan
    frame.loc[7, "a"] = np.nan
    path = write(frame.to_csv(index=False))
    drawn = instance("csv", path=path, label="kind", group="site", missing="drop")
    alone = instance("csv", path=path, label="kind", exclude="site", missing="drop")
    np.testing.assert_array_equal(drawn.X, alone.X)
    for part in ("init", "pool", "test"):
        np.testing.assert_array_equal(getattr(drawn, part), getattr(alone, part))
    assert drawn.groups == ("Aarau", "Bern", "Zug", "missing") and alone.group is None
    said = frame["site"].str.strip().fillna("missing").to_numpy()
    rows = used(drawn)
    assert 7 not in rows and 5 in rows and len(drawn.group) == 40
    assert np.array(drawn.groups)[drawn.group[rows]].tolist() == said[rows].tolist()


@pytest.mark.parametrize("group", ["town", "kind"])
def test_a_group_that_is_no_column_is_refused(write, group):
    path = write(table().to_csv(index=False))
    said = refused("csv", path=path, label="kind", group=group)
    assert f"dataset.group={group}" in said and "a, b" in said
