"""The data sets of the paper and those bundled: sizes of Table 1, sources, downloads, refusals."""

from __future__ import annotations

import functools
import gzip
import hashlib
import http.server
import io
import os
import shutil
import tarfile
import threading
from pathlib import Path

import numpy as np
import pytest

from goralx import BadInput
from goralx.data.sources import cache_folder, download_members, fetch_openml
from goralx.discovery import registry
from tests.problems import build

DATA = os.environ.get("GORALX_DATA")
needs_data = pytest.mark.skipif(DATA is None, reason="GORALX_DATA is not set")


def instance(name, seed=0, **options):
    return build("dataset", name, **options).instance(np.random.default_rng(seed))


def names_beside(name):
    """What the data set's own functions see: a file that was loaded twice has two modules."""
    return registry().component("dataset", name).cls.instance.__globals__


def sizes(drawn):
    return len(drawn.classes), drawn.X.shape[1], len(drawn.pool), len(drawn.init), len(drawn.test)


@pytest.fixture
def alone(tmp_path, monkeypatch):
    """No data folder, empty caches, and no network: a proxy that refuses every connection."""
    monkeypatch.delenv("GORALX_DATA", raising=False)
    monkeypatch.setenv("GORALX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path / "scikit_learn_data"))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("urllib.request._opener", None)  # it remembers an earlier proxy
    return tmp_path


@pytest.fixture
def server(alone, monkeypatch):
    """A folder and the address that serves it, on loopback."""
    folder = alone / "served"
    folder.mkdir()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    handler = functools.partial(QuietHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


# bundled


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("digits", (10, 64, 1327, 20, 450)),
        ("breast_cancer", (2, 30, 417, 10, 142)),
        ("wine", (3, 13, 127, 6, 45)),
        ("iris", (3, 4, 99, 6, 45)),
    ],
)
def test_bundled_data(name, table):
    drawn = instance(name)
    assert sizes(drawn) == table
    assert drawn.name == name and name in drawn.source


def test_bundled_labels_are_named_and_belong_to_their_rows():
    from sklearn.datasets import load_breast_cancer

    drawn, bunch = instance("breast_cancer", standardize=False), load_breast_cancer()
    assert drawn.classes == ("benign", "malignant")
    np.testing.assert_array_equal(drawn.X, bunch.data)
    assert [drawn.classes[k] for k in drawn.y] == [bunch.target_names[k] for k in bunch.target]


@pytest.mark.parametrize("name", registry().names("dataset"))
def test_every_data_set_is_frozen_plain_and_checks_its_ranges(name):
    from omegaconf import OmegaConf

    from goralx.app.nodes import node_type

    component = registry().component("dataset", name)
    cls, node = component.cls, OmegaConf.structured(node_type(component))
    assert OmegaConf.to_container(node) == {"name": name, **vars(cls())}
    with pytest.raises(BadInput, match=r"dataset\.n_init=-1"):
        cls(n_init=-1)
    with pytest.raises(BadInput, match=r"dataset\.C=0"):
        cls(C=0.0)


@pytest.mark.parametrize("name", ["digits", "synth2"])
def test_the_same_seed_gives_the_same_instance(name):
    one, same, other = instance(name, 5), instance(name, 5), instance(name, 6)
    for part in ("X", "init", "pool", "test"):
        np.testing.assert_array_equal(getattr(one, part), getattr(same, part))
    assert one.init.tolist() != other.init.tolist()


# synth2


def test_synth2_is_six_clusters_of_100_with_the_sizes_of_table_1():
    drawn = instance("synth2")
    assert sizes(drawn) == (2, 2, 530, 10, 60)
    assert "reconstruction" in drawn.source
    cluster = np.arange(600) // 100
    assert np.bincount(cluster[drawn.test]).tolist() == [10] * 6
    assert np.bincount(cluster[drawn.init]).tolist() == [5, 5]
    assert np.isin(cluster[drawn.pool], (0, 1)).sum() == 170
    expected = [  # centre, standard deviation, class
        ((0, 2), 0.3, "positive"),
        ((0, -2), 0.3, "negative"),
        ((-4, 5), 0.5, "positive"),
        ((4, -5), 0.5, "negative"),
        ((-3, -5), 0.5, "positive"),
        ((3, 5), 0.5, "negative"),
    ]
    for c, (centre, sigma, label) in enumerate(expected):
        rows = cluster == c
        np.testing.assert_allclose(drawn.X[rows].mean(axis=0), centre, atol=4 * sigma / 10)
        np.testing.assert_allclose(drawn.X[rows].std(axis=0), sigma, rtol=0.3)
        assert {drawn.classes[k] for k in drawn.y[rows]} == {label}


def test_the_first_model_on_synth2_divides_horizontally():
    drawn = instance("synth2", seed=1)
    fitted = build("model", "softmax", C=0.1).fit(drawn.labelled(drawn.init), 2)
    slope = fitted.theta[1] - fitted.theta[0]
    assert abs(slope[1]) > 5 * abs(slope[0])


def test_synth2_says_which_pair_of_clusters_a_sample_is_of():
    drawn = instance("synth2", seed=1)
    names = np.array(drawn.groups)[drawn.group]
    for name, (x, y) in {"central": (0, 2), "distracting": (-4, 5), "definitive": (-3, -5)}.items():
        sign = np.where(drawn.y[names == name] == 1, 1.0, -1.0)[:, None]
        off = np.abs(sign * drawn.X[names == name] - (x, y))
        assert (names == name).sum() == 200 and off.max() < 5 * 0.5
    assert (names[drawn.init] == "central").all()
    assert (names[drawn.pool] == "central").sum() == 170


def test_synth2_coordinates_are_options():
    drawn = instance("synth2", definitive_x=30.0, definitive_sigma=0.0, per_cluster=20, n_init=4)
    np.testing.assert_array_equal(drawn.X[80:100], [[30.0, -5.0]] * 20)
    np.testing.assert_array_equal(drawn.X[100:120], [[-30.0, 5.0]] * 20)
    assert (len(drawn.pool), len(drawn.init), len(drawn.test)) == (56, 4, 60)


@pytest.mark.parametrize(
    "options",
    [
        {"central_sigma": -0.1},
        {"central_x": float("nan")},
        {"n_init": 5},
        {"n_init": 180},
        {"per_cluster": 10},
    ],
)
def test_synth2_refuses(options):
    with pytest.raises(BadInput, match=r"dataset\.[a-z_]+="):
        instance("synth2", **options)


# letter


def write_letter(path, rows=20_000):
    rng = np.random.default_rng(0)
    letters = np.array(list("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))[np.arange(rows) % 26]
    features = rng.integers(0, 16, size=(rows, 16))
    lines = [",".join([a, *map(str, row)]) for a, row in zip(letters, features, strict=True)]
    path.write_text("\n".join(lines) + "\n")
    return letters, features


@pytest.mark.parametrize("given", ["file", "folder", "GORALX_DATA"])
def test_letter_reads_the_uci_file_from_wherever_it_lies(given, alone, monkeypatch):
    folder = alone / "data" / "letter"
    folder.mkdir(parents=True)
    letters, features = write_letter(folder / "letter-recognition.data")
    options = {
        "file": {"path": str(folder / "letter-recognition.data")},
        "folder": {"path": str(folder)},
        "GORALX_DATA": {},
    }[given]
    if given == "GORALX_DATA":
        monkeypatch.setenv("GORALX_DATA", str(alone / "data"))
    drawn = instance("letter", standardize=False, **options)
    assert sizes(drawn) == (26, 16, 14948, 52, 5000)
    np.testing.assert_array_equal(drawn.X, features)
    assert [drawn.classes[k] for k in drawn.y] == letters.tolist()
    assert np.bincount(drawn.y[drawn.init]).tolist() == [2] * 26


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("A,1,2\nB,3\n", "is not the letter data"),
        ("A" + ",1" * 16 + "\n", "1 rows of 16 features; letter has 20000"),
        ("A" + ",x" * 16 + "\n", "is not the letter data"),
        ("\x00\xff\x00", "letter"),
    ],
)
@pytest.mark.filterwarnings("ignore:loadtxt")
def test_letter_refuses_another_file(content, says, tmp_path):
    path = tmp_path / "letter-recognition.data"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(BadInput, match=says) as refused:
        instance("letter", path=str(path))
    assert "\n" not in str(refused.value)


def test_letter_refuses_a_damaged_arff_and_an_empty_folder(tmp_path):
    path = tmp_path / "letter.arff"
    path.write_text("@relation letter\n@attribute x numeric\n@data\nrubbish,1\n")
    with pytest.raises(BadInput, match="letter"):
        instance("letter", path=str(path))
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="holds neither"):
        instance("letter", path=str(tmp_path / "empty"))
    with pytest.raises(BadInput, match=r"dataset\.path=.*nowhere: no such file"):
        instance("letter", path=str(tmp_path / "nowhere"))


def test_letter_without_a_network_names_the_ways_out_in_one_line(alone, recwarn):
    with pytest.raises(BadInput) as refused:
        instance("letter")
    line = str(refused.value)
    assert "\n" not in line
    for way in ("letter-recognition.data", "letter.arff", "data_home"):
        assert way in line
    assert not [w for w in recwarn if "network" in str(w.message)]


@needs_data
def test_the_three_sources_of_letter_hold_the_same_samples():
    folder = Path(DATA)
    places = ["letter/letter-recognition.data", "letter/letter.arff", "openml_home"]
    drawn = [instance("letter", path=str(folder / p), standardize=False) for p in places]
    counts = [789, 766, 736, 805, 768, 775, 773, 734, 755, 747, 739, 761, 792, 783, 753, 803, 783]
    counts += [758, 748, 796, 813, 764, 752, 787, 786, 734]
    tables = []
    for one in drawn:
        assert sizes(one) == (26, 16, 14948, 52, 5000)
        assert np.bincount(one.y).tolist() == counts
        assert one.classes == tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
        table = np.column_stack([one.y, one.X])
        tables.append(table[np.lexsort(table.T)])
    np.testing.assert_array_equal(tables[0], tables[1])
    np.testing.assert_array_equal(tables[0], tables[2])
    first = [["".join(d.classes[k] for k in d.y[:3])] for d in drawn]
    assert first == [["TID"], ["ZPS"], ["ZPS"]]
    assert drawn[0].X[0].tolist() == [2, 8, 3, 5, 1, 8, 13, 0, 6, 6, 10, 8, 0, 8, 0, 8]


@needs_data
def test_letter_by_default_is_the_uci_file_of_the_data_folder_standardised():
    drawn = instance("letter")
    part = drawn.X[np.union1d(drawn.pool, drawn.init)]
    np.testing.assert_allclose(part.mean(axis=0), 0, atol=1e-10)
    np.testing.assert_allclose(part.std(axis=0), 1, rtol=1e-10)
    assert drawn.source == "letter-recognition.data"


@needs_data
def test_a_cache_that_scikit_learn_cannot_use_is_left_as_it_was(alone):
    """It would delete the file: what it is given is a copy."""
    home = alone / "home"
    shutil.copytree(Path(DATA) / "openml_home", home)
    damaged = home / "openml/openml.org/api/v1/json/data/6.gz"
    damaged.chmod(0o644)
    damaged.write_bytes(gzip.compress(b"{ this is no json"))
    before = {p: p.read_bytes() for p in home.rglob("*.gz")}
    with pytest.raises(BadInput, match="OpenML, data_id=6"):
        instance("letter", path=str(home))
    assert {p: p.read_bytes() for p in home.rglob("*.gz")} == before


# rt_polarity


def write_sentences(folder, n=30):
    folder.mkdir(parents=True)
    for name, word in (("pos", "good"), ("neg", "bad")):
        lines = [f"a {word} film\x85 number {i} with caf\xe9 \n" for i in range(n)]
        text = "".join(lines).replace("\x85", "\u2026")
        (folder / f"rt-polarity.{name}").write_bytes(text.encode("cp1252"))
    return folder


SMALL = {"n_test": 12, "n_components": 5}


def test_sentences_are_windows_1252_and_lines_end_at_newlines_alone(alone):
    folder = write_sentences(alone / "rt")
    assert b"\x85" in (folder / "rt-polarity.pos").read_bytes()
    drawn = instance("rt_polarity", path=str(folder), **SMALL)
    assert sizes(drawn) == (2, 5, 38, 10, 12)
    assert drawn.classes == ("negative", "positive")
    assert drawn.y.tolist() == [1] * 30 + [0] * 30
    for name in ("pos", "neg"):  # a copy that somebody converted reads the same
        path = folder / f"rt-polarity.{name}"
        path.write_bytes(path.read_bytes().decode("cp1252").encode("utf-8"))
    again = instance("rt_polarity", path=str(folder), **SMALL)
    np.testing.assert_array_equal(again.X, drawn.X)
    assert len(list(cache_folder("vectors").glob("*.npz"))) == 1


def test_vectors_are_read_and_never_encoded(alone, monkeypatch):
    X = np.random.default_rng(0).normal(size=(60, 7)).astype(np.float32)
    folder = write_sentences(alone / "data" / "rt-polarity")
    np.savez(folder / "mine.npz", X=X, y=np.repeat([1, 0], 30).astype(np.int8))
    monkeypatch.setenv("GORALX_DATA", str(alone / "data"))
    for options in ({}, {"encoder": "vectors"}, {"path": str(folder / "mine.npz")}):
        drawn = instance("rt_polarity", n_test=12, **options)
        np.testing.assert_array_equal(drawn.X, X)
        assert [drawn.classes[k] for k in drawn.y[[0, -1]]] == ["positive", "negative"]
        assert "mine.npz" in drawn.source
    encoded = instance("rt_polarity", encoder="tfidf", **SMALL)
    assert encoded.X.shape == (60, 5)
    np.savez(folder / "other.npz", X=X, y=np.repeat([1, 0], 30))
    with pytest.raises(BadInput, match=r"holds mine\.npz, other\.npz"):
        instance("rt_polarity", n_test=12)
    with pytest.raises(BadInput, match="is a file of vectors"):
        instance("rt_polarity", path=str(folder / "mine.npz"), encoder="tfidf")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"encoder": "bert"}, "allowed: auto, vectors, tfidf, terms, transformer"),
        ({"encoder": "vectors"}, r"no \.npz"),
        ({"n_components": 0}, "at least 1"),
        ({"max_length": 2}, "at least 3"),
        ({"path": "."}, "holds no rt-polarity.pos"),
    ],
)
def test_rt_polarity_refuses(options, says, alone, monkeypatch):
    monkeypatch.chdir(alone)
    with pytest.raises(BadInput, match=says):
        instance("rt_polarity", **options)


@pytest.mark.parametrize("y", [[1, 2] * 5, [0.5, 1] * 5, ["a", "b"] * 5])
def test_vectors_with_other_labels_are_refused(y, alone):
    np.savez(alone / "v.npz", X=np.zeros((10, 2)), y=y)
    with pytest.raises(BadInput, match="1 for positive"):
        instance("rt_polarity", path=str(alone / "v.npz"))


@needs_data
def test_rt_polarity_has_the_sizes_of_table_1_and_the_vectors_in_order():
    drawn = instance("rt_polarity")
    assert sizes(drawn) == (2, 384, 9586, 10, 1066)
    assert np.bincount(drawn.y[drawn.test]).tolist() == [533, 533]
    assert np.bincount(drawn.y[drawn.init]).tolist() == [5, 5]
    assert drawn.y.tolist() == [1] * 5331 + [0] * 5331
    stored = np.load(Path(DATA) / "rt-polarity" / "minilm_cls.npz")["X"]
    np.testing.assert_array_equal(drawn.X, stored)


@needs_data
@pytest.mark.slow
def test_the_original_sentences_are_read_whole(alone):
    folder = Path(DATA) / "rt-polarity"
    options = {"encoder": "tfidf", "n_components": 100}
    drawn = instance("rt_polarity", path=str(folder), **options)
    assert sizes(drawn) == (2, 100, 9586, 10, 1066)
    texts, positive = names_beside("rt_polarity")["_sentences"](folder)
    assert (len(texts), int(positive.sum())) == (10662, 5331)
    assert texts[0].startswith('the rock is destined to be the 21st century\'s new " conan "')
    assert texts[5331] == "simplistic , silly and tedious ."
    assert not any("\ufffd" in text or "\x85" in text for text in texts)


# downloads


def archive(**files):
    """A tar.gz of these members, in a folder as the original has them."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"rt-polaritydata/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return stream.getvalue()


MEMBERS = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("a.pos", "a.neg")}


def test_a_download_is_checked_kept_and_not_repeated(server):
    folder, address = server
    files = {name: name.encode() for name in MEMBERS}
    (folder / "x.tgz").write_bytes(archive(**files, other=b"ignored"))
    target = cache_folder("x")
    download_members(f"{address}/x.tgz", MEMBERS, target, instead="look elsewhere")
    assert {p.name: p.read_bytes() for p in target.iterdir()} == files
    (folder / "x.tgz").unlink()
    download_members(f"{address}/x.tgz", MEMBERS, target, instead="look elsewhere")
    (target / "a.pos").write_bytes(b"damaged")  # is fetched again, which now fails
    with pytest.raises(BadInput, match=r"cannot download .*404.*; look elsewhere"):
        download_members(f"{address}/x.tgz", MEMBERS, target, instead="look elsewhere")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (archive(**{"a.pos": b"a.pos", "a.neg": b"changed"}), r"a\.neg has SHA-256 .* not kept"),
        (archive(**{"a.pos": b"a.pos"}), r"has no a\.neg"),
        (archive(**{"a.pos": b"a.pos", "a.neg": b"a.neg"})[:60], "not a readable tar archive"),
        (b"<html>moved</html>", "not a readable tar archive"),
    ],
    ids=["changed", "missing", "cut", "a page"],
)
def test_a_download_that_is_not_what_it_was_is_refused_and_not_kept(content, says, server):
    folder, address = server
    (folder / "x.tgz").write_bytes(content)
    target = cache_folder("x")
    with pytest.raises(BadInput, match=says) as refused:
        download_members(f"{address}/x.tgz", MEMBERS, target, instead="look elsewhere")
    assert "\n" not in str(refused.value)
    assert list(target.iterdir()) == []


def test_rt_polarity_is_downloaded_once_and_then_read_from_the_cache(server, alone, monkeypatch):
    folder, address = server
    files = {p.name: p.read_bytes() for p in write_sentences(alone / "rt").iterdir()}
    (folder / "rt.tgz").write_bytes(archive(**files))
    plugin = names_beside("rt_polarity")
    monkeypatch.setitem(plugin, "URL", f"{address}/rt.tgz")
    digests = {name: hashlib.sha256(files[name]).hexdigest() for name in plugin["FILES"]}
    monkeypatch.setitem(plugin, "FILES", digests)
    first = instance("rt_polarity", **SMALL)
    (folder / "rt.tgz").unlink()
    second = instance("rt_polarity", **SMALL)
    np.testing.assert_array_equal(first.X, second.X)
    assert first.y.tolist() == [1] * 30 + [0] * 30


def test_rt_polarity_without_a_network_is_one_line(alone):
    with pytest.raises(BadInput) as refused:
        instance("rt_polarity")
    line = str(refused.value)
    assert "\n" not in line and "cannot download" in line
    assert "dataset.path" in line and ".npz" in line
    assert list(cache_folder("rt-polarity").iterdir()) == []


def test_openml_without_a_network_is_one_line_that_names_the_query(alone):
    with pytest.raises(BadInput, match=r"OpenML, name=adult, version=2: .*; do this") as refused:
        fetch_openml("do this", None, name="adult", version=2, as_frame=False, parser="liac-arff")
    assert "\n" not in str(refused.value)


def test_a_data_folder_or_cache_that_cannot_be_used_is_named(alone, monkeypatch):
    monkeypatch.setenv("GORALX_DATA", str(alone / "nowhere"))
    with pytest.raises(BadInput, match=r"GORALX_DATA=.*nowhere is not a folder"):
        instance("letter")
    (alone / "file").write_text("")
    monkeypatch.setenv("GORALX_CACHE", str(alone / "file" / "cache"))
    with pytest.raises(BadInput, match="set GORALX_CACHE"):
        cache_folder()


# River's -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name, table", [("segment", (2310, 18, 7)), ("phishing", (1250, 9, 2))])
def test_river_s_files(name, table):
    """Sizes as river's own classes state them; row 7 as it stands in the file."""
    pytest.importorskip("river")
    import pandas

    drawn, component = instance(name, standardize=False), build("dataset", name)
    assert (len(drawn.X), drawn.X.shape[1], drawn.n_classes) == table
    frame = pandas.read_csv(component._path())
    row = frame.drop(columns=component.label).iloc[7]
    np.testing.assert_array_equal(drawn.X[7], row.astype(float))
    assert drawn.classes[drawn.y[7]] == str(frame[component.label].iloc[7])


def test_river_s_files_without_river_are_refused_with_the_way_out(monkeypatch):
    monkeypatch.setitem(names_beside("segment"), "find_spec", lambda name: None)
    with pytest.raises(BadInput, match=r"package river, .* pip install 'goralx\[data\]'"):
        instance("segment")
