"""Hostile inputs of four kinds, as hypothesis draws them: data, overrides, plugins, records."""

from __future__ import annotations

import gzip
import io
import pickle
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from scipy.sparse import csr_array, save_npz

import goralx
from goralx.app.cli import main
from tests import problems

FAST = (
    "n_queries=4", "batch_size=2", "tracker=csv", "progress=false", "audit.every=0",
    "ceiling=false", "figures=false",
)  # fmt: skip


@dataclass(frozen=True)
class Input:
    """What it is, in words, and what is done with it in a folder of its own.

    ``files``: names of those that are damaged; a line that refuses them has one of them.
    """

    given: str
    act: Callable[[Path], Callable[[], object]]
    files: tuple[str, ...] = ("",)


class Bomb:
    """Unpickled, it runs a program."""

    def __reduce__(self) -> tuple[Any, ...]:
        import os

        return os.system, ("touch executed",)


TEXTS = (
    "",
    " ",
    "a",
    "b",
    "0",
    "1",
    "-1",
    "nan",
    "inf",
    "1e999",
    "NA",
    "?",
    "=1+1",
    "$x$",
    "_",
    '"',
    "'",
    ",",
    "\x1b[31m",
    "\x00",
    "\ufeff",
    "\u202e",
    "\ud800",
    "日本",
    "a" * 5000,
    "../x",
    "${oc.env:HOME}",
    "!!python/object/apply:os.system ['touch executed']",
    "1_000",
    "True",
    "2020-01-01",
    "[1]",
    "{}",
)
BYTES = st.sampled_from(
    [
        *(b"", b"\x00", b"\xff", b"\n", b"\r", b'"', b",", b"PK\x03\x04", b"\x93NUMPY"),
        *(b"nan", b"999999999999", b"-", b"{", b"\x1b]0;x\x07", b"PAR1"),
    ]
)


@st.composite
def mutated(draw: st.DrawFn, content: bytes) -> bytes:
    """Some bytes changed, left out, put in, or all that comes after cut off."""
    data = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        how = draw(st.sampled_from(["flip", "cut", "insert", "delete", "double"]))
        if how == "flip" and data:
            data[at] ^= draw(st.integers(1, 255))
        elif how == "cut":
            del data[at:]
        elif how == "insert":
            data[at:at] = draw(BYTES)
        elif how == "delete":
            del data[at : at + draw(st.integers(1, 20))]
        elif how == "double":
            data[at:at] = data[at : at + 40]
    return bytes(data)


def _table(sep: str = ",") -> bytes:
    rows = [sep.join((f"{i}", f"{i % 7}.5", "abc"[i % 3])) for i in range(40)]
    return ("\n".join([sep.join("uvk"), *rows]) + "\n").encode()


def _zipped(name: str, content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(name, content)
        if name == "X.npy":
            archive.writestr("y.npy", _saved(np.save, Y))
    return out.getvalue()


def _claims(name: str, size: int) -> bytes:
    """An archive whose directory says that its file, of nothing but zeros, is so large."""
    made = bytearray(_zipped(name, bytes(1000)))
    central = made.index(b"PK\x01\x02")
    made[central + 24 : central + 28] = min(size, 0xFFFFFFFE).to_bytes(4, "little")
    return bytes(made)


def _saved(save: Callable[..., None], *values: Any, **named: Any) -> bytes:
    out = io.BytesIO()
    save(out, *values, **named)
    return out.getvalue()


def _numpy_header(shape: str, descr: str = "'<f8'") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"
    text += " " * (63 - (len(text) + 10) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


X, Y = np.arange(80.0).reshape(40, 2) % 7, np.arange(40) % 3


@cache
def files() -> dict[str, tuple[str, bytes]]:
    """By file name: the data set that reads it, and content that it can read."""
    arff = "@relation r\n@attribute u numeric\n@attribute k {a,b,c}\n@data\n" + "".join(
        f"{i % 7},{'abc'[i % 3]}\n" for i in range(40)
    )
    light = "".join(f"{i % 3} 1:{i % 7} 2:{i % 5}.5\n" for i in range(40))
    made = {
        "d.csv": ("csv", _table()),
        "d.tsv": ("csv", _table("\t")),
        "d.csv.zip": ("csv", _zipped("d.csv", _table())),
        "d.npz": ("npz", _saved(np.savez, X=X, y=Y)),
        "d.svm": ("svmlight", light.encode()),
        "d.arff": ("letter", arff.encode()),
        "x.npy": ("npy", _saved(np.save, X)),
        "d.jsonl": (
            "csv",
            "".join(f'{{"u": {i % 7}, "k": "{i % 3}"}}\n' for i in range(40)).encode(),
        ),
        "d.csv.gz": ("csv", gzip.compress(_table(), mtime=0)),
        "s.npz": ("npz", _saved(save_npz, csr_array(X))),
    }
    try:
        import pandas as pd

        frame = pd.DataFrame({"u": X[:, 0], "v": X[:, 1], "k": Y.astype(str)})
        made["d.parquet"] = ("csv", _saved(lambda out: frame.to_parquet(out)))
    except ImportError:  # an extra
        pass
    return made


HOSTILE: dict[str, tuple[str, Callable[[], bytes]]] = {
    "bytes.npz": ("npz", lambda: _saved(np.savez, X=X, y=np.array([b"\xff\xfe", b"b"])[Y % 2])),
    "pickle.npz": ("npz", lambda: _saved(np.savez, X=X, y=np.array([Bomb()] * 40))),
    "objects.npz": ("npz", lambda: _saved(np.savez, X=X.astype(object), y=Y)),
    "surrogate.npz": ("npz", lambda: _saved(np.savez, X=X, y=np.array(["\ud800", "b"])[Y % 2])),
    "bomb.npz": ("npz", lambda: _zipped("X.npy", _numpy_header("(1099511627776, 1024)"))),
    "negative.npz": ("npz", lambda: _zipped("X.npy", _numpy_header("(-1, 3)"))),
    "odd.npz": ("npz", lambda: _zipped("X.npy", _numpy_header("(4, 2", "'<Q9'"))),
    "record.npz": ("npz", lambda: _saved(np.savez, X=np.zeros(40, "f8,i4"), y=Y)),
    "dates.npz": ("npz", lambda: _saved(np.savez, X=X, y=Y.astype("M8[D]"))),
    "complex.npz": ("npz", lambda: _saved(np.savez, X=X.astype(complex), y=Y)),
    "empty.npz": ("npz", lambda: _saved(np.savez, X=X[:0], y=Y[:0])),
    "deep.npz": ("npz", lambda: _saved(np.savez, X=X[:, :, None], y=Y)),
    "pickle.pkl.npz": ("npz", lambda: pickle.dumps(Bomb())),
    "bomb.npy": ("npy", lambda: _numpy_header("(1099511627776, 1024)") + bytes(64)),
    "pickle.npy": ("npy", lambda: _saved(np.save, np.array([Bomb()] * 40))),
    "flat.npy": ("npy", lambda: _saved(np.save, X[:, 0])),
    "none.csv.zip": ("csv", lambda: _zipped("../../outside.csv", b"")),
    "zeros.npz": ("npz", lambda: _claims("X.npy", 1 << 45)),
    "zeros.csv.zip": ("csv", lambda: _claims("d.csv", 1 << 45)),
    "zeros.csv.gz": ("csv", lambda: gzip.compress(bytes(1 << 22))),
    "deep.jsonl": ("csv", lambda: b'{"u": ' + b"[" * 100_000 + b"\n"),
    "lone.jsonl": (
        "csv",
        lambda: b'{"\\ud800": 1, "k": "\\ud800"}\n{"\\ud800": 2, "k": "b"}\n' * 9,
    ),
    "deep.npy": ("npy", lambda: _numpy_header("(" * 500 + ")" * 500)),
    "two.csv.gz": ("csv", lambda: b"\x1f\x8b\x08\x00cut"),
}


@st.composite
def data(draw: st.DrawFn) -> Input:
    """A data file: damaged, hostile as made, or a table of odd cells."""
    how = draw(st.sampled_from(["mutated", "mutated", "hostile", "cells"]))
    if how == "cells":
        text = st.sampled_from(TEXTS) | st.text(max_size=8)
        rows = draw(st.lists(st.lists(text, min_size=1, max_size=4), min_size=1, max_size=6))
        repeats = draw(st.sampled_from([1, 12]))
        lines = [",".join(row) for row in rows[:1] + rows[1:] * repeats]
        name, dataset = "d.csv", "csv"
        content = "\n".join(lines).encode("utf-8", "surrogatepass")
    elif how == "hostile":
        name = draw(st.sampled_from(sorted(HOSTILE)))
        dataset, make = HOSTILE[name]
        content = make()
    else:
        name = draw(st.sampled_from(sorted(files())))
        dataset, whole = files()[name]
        content = draw(mutated(whole))
    words = [f"dataset={dataset}", f"dataset.path={name}", *FAST, "hydra.run.dir=run"]
    if dataset == "npy":
        words.append("dataset.labels=labels.npy")
    if dataset == "csv":
        for option, values in (
            ("missing", ["error", "drop", "mean"]),
            ("categorical", ["error", "onehot", "drop"]),
            ("header", ["true", "false"]),
        ):
            if draw(st.booleans()):
                words.append(f"dataset.{option}={draw(st.sampled_from(values))}")

    def act(folder: Path) -> Callable[[], object]:
        (folder / name).write_bytes(content)
        np.save(folder / "labels.npy", Y)
        return lambda: main(words)

    return Input(f"{name} {content[:300]!r} {words}", act, (name,))


KEYS = (
    "goal",
    "operator",
    "strategy",
    "utility",
    "batch",
    "model",
    "dataset",
    "tracker",
    "engine",
    "batch_size",
    "n_queries",
    "seed",
    "guard",
    "monitors",
    "metrics",
    "dev.fraction",
    "stop",
    "audit.every",
    "audit.size",
    "ceiling",
    "job",
    "precision",
    "threads",
    "progress",
    "model.C",
    "model.regime",
    "dataset.n_init",
    "dataset.n_test",
    "dataset.path",
    "goal.weight",
    "hydra.run.dir",
    "hydra.job.name",
    "hydra/launcher",
    "experiment",
    "initial",
    "oracle",
    "objective",
    "on_existing",
    "record.utilities",
    "approximation.batch_sizes",
    "+x",
    "~goal",
    "++a.b",
    "",
)
VALUES = (
    *TEXTS,
    "ent",
    "max",
    "random",
    "null",
    "true",
    "1.5",
    "-5",
    "99999999999999999999",
    "1e308",
    "[]",
    "[1,2",
    "{a:1}",
    "${seed}",
    "${oc.env:HOME}",
    "${goralx.groups:}",
    "???",
    "a,b",
    "range(1,3)",
    "choice(1,2)",
    "'x'",
    "glob(*)",
    "../../../outside",
    "/dev/null/x",
    "/proc/x",
)


@st.composite
def overrides(draw: st.DrawFn) -> Input:
    """A command line with one to three options that nobody meant."""
    value = st.sampled_from(VALUES) | st.text(max_size=6)
    pairs = draw(st.lists(st.tuples(st.sampled_from(KEYS), value), min_size=1, max_size=3))
    chosen = [f"{key}={text}" for key, text in pairs]
    words = ["dataset=iris", *FAST, "hydra.run.dir=run", *chosen]
    # a data set that is looked for in the network, and pages that are served, are another matter
    if any(word in ("dataset=openml", "tracker=mlflow") for word in chosen):
        words = words[:1]
    return Input(f"{chosen}", lambda _: lambda: main(words))


def _values() -> dict[str, Callable[[np.ndarray], Any]]:
    return {
        "itself": lambda a: a,
        "nothing": lambda a: None,
        "text": lambda a: "x",
        "NaN": lambda a: np.full(a.shape, np.nan),
        "infinite": lambda a: np.full(a.shape, np.inf),
        "a row": lambda a: a[:1],
        "a column": lambda a: a[..., :1],
        "flat": lambda a: a.ravel(),
        "transposed": lambda a: a.T,
        "deeper": lambda a: a[None],
        "objects": lambda a: a.astype(object),
        "complex": lambda a: a.astype(complex),
        "booleans": lambda a: a > 0,
        "a list": lambda a: a.tolist(),
        "zeros": lambda a: np.zeros_like(a),
        "huge": lambda a: np.full(a.shape, 1e300),
        "writes": lambda a: a.fill(0),
        "raises": lambda a: {}["nothing"],
        "divides": lambda a: 1 // 0,
        "unfrozen": lambda a: setattr(a.flags, "writeable", True),
    }


@dataclass(frozen=True)
class AnyGoal(goralx.LogitGoal):
    value_: Any
    slope: Any

    def value_and_logit_gradient(self, log_P, X, y):
        return self.value_(log_P[:1, 0]), self.slope(log_P - log_P.mean(axis=1, keepdims=True))


@dataclass(frozen=True)
class AnyOperator(goralx.LabelOperator):
    gives: Any

    def __call__(self, U, log_P, y_true, progress):
        return self.gives(U)


@dataclass(frozen=True)
class AnyStrategy(goralx.Strategy):
    rows: Any
    utility: Any

    def select(self, query):
        rows = np.arange(len(query.candidates))
        return goralx.Selection(self.rows(rows[:2]), self.utility(rows * 1.0))


@st.composite
def plugins(draw: st.DrawFn) -> Input:
    """A component that gives, raises or writes something else than its contract says."""
    names = st.sampled_from(sorted(_values()))
    group, first, second = (
        draw(st.sampled_from(["goal", "operator", "strategy"])),
        *draw(st.tuples(names, names)),
    )
    one, two = _values()[first], _values()[second]
    made: Any = {
        "goal": lambda: AnyGoal(one, two),
        "operator": lambda: AnyOperator(one),
        "strategy": lambda: AnyStrategy(one, two),
    }[group]()

    def act(_: Path) -> Callable[[], object]:
        def run() -> None:
            experiment = problems.experiment(INSTANCE(), batch_size=2, n_queries=4, **{group: made})
            list(experiment.rounds())

        return run

    return Input(f"{group} {first}, {second}", act)


@cache
def INSTANCE() -> Any:
    return problems.instance(pool=20, init=6, test=10)


def record(folder: Path) -> None:
    """A run whose record will be damaged."""
    words = ["dataset=iris", *FAST, f"hydra.run.dir={folder}", "strategy=goral", "n_queries=8"]
    assert main(words) == 0
    assert main(["explain", str(folder)]) == 0  # so that fonts are looked for before anybody waits


@st.composite
def records(draw: st.DrawFn, whole: Path) -> Input:
    """A record with one file damaged, and a command that reads it."""
    names = sorted(str(p.relative_to(whole)) for p in whole.rglob("*") if p.is_file())
    name = draw(st.sampled_from([n for n in names if not n.endswith(".lock")]))
    content = draw(mutated((whole / name).read_bytes()))
    gone = draw(st.booleans()) and draw(st.booleans())
    running = draw(st.booleans())
    command = draw(st.sampled_from(["resume", "resume n_queries=12", "explain", "verify"]))

    def act(folder: Path) -> Callable[[], object]:
        shutil.copytree(whole, folder / "run")
        if running:  # as a kill would leave it
            summary = folder / "run" / "summary.json"
            text = summary.read_text().replace('"status": "finished"', '"status": "running"')
            summary.write_text(text)
        if gone:
            (folder / "run" / name).unlink()
        else:
            (folder / "run" / name).write_bytes(content)
        word, *options = command.split()

        def read() -> int:
            status = main([word, "run", *options])
            return 0 if word == "verify" and status == 1 else status  # something differs

        return read

    what = f"{command} {name} {'gone' if gone else content[:200]!r}"
    damaged = (name.rpartition("/")[2], *(("summary.json",) if running else ()))
    return Input(what, act, damaged)
