"""Ask and tell: what is asked, what is kept, and what a kill at any byte leaves."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

import goralx
from goralx import BadInput
from goralx.app import main
from goralx.library.journal import Journal
from tests.problems import blobs

NAMES = np.array(["cat", "dog", "eel"])
X, Y = blobs(np.random.default_rng(0), 60, 3, 3)


def begun(folder, pool=X, labelled=12, **options):
    session = goralx.Session(pool, directory=folder / "s", classes=NAMES, **options)
    if labelled:
        session.tell(range(labelled), NAMES[Y[:labelled]])
    return session


def test_what_is_asked_is_what_the_library_would_query(tmp_path):
    session = begun(tmp_path)
    scores = goralx.utilities(X[:12], NAMES[Y[:12]], X)  # the goal is measured on the whole pool
    order = 12 + np.argsort(-scores[12:], kind="stable")
    asked = session.ask(5)
    assert list(asked) == order[:5].tolist() and len(asked) == 5
    np.testing.assert_allclose(asked.utility, scores[asked.ids])
    assert NAMES[Y[asked]].tolist() == NAMES[Y[asked.ids]].tolist()
    for reason in asked.reasons:
        assert reason.startswith("believed ") and "utility" in reason


@pytest.mark.parametrize("pool", [X, X.astype(np.float32), csr_array(np.where(X > 0, X, 0.0))])
def test_a_session_that_is_loaded_goes_on_as_it_would_have(tmp_path, pool):
    options = {"operator": "annealed", "budget": 30, "model": {"name": "softmax", "C": 0.3}}
    first = begun(tmp_path, pool, **options)
    for _ in range(3):
        again = goralx.Session.load(tmp_path / "s")
        asked = first.ask(4)
        assert list(again.ask(4)) == list(asked) == list(first.ask(4))
        np.testing.assert_array_equal(again.predictions(), first.predictions())
        again.tell(asked, NAMES[Y[asked]])
        first = goralx.Session.load(tmp_path / "s")
    assert len(first.told) == 24 and not set(first.left) & set(first.told)


def test_from_nothing_to_a_class_that_nobody_knew_of(tmp_path):
    session = begun(tmp_path, labelled=0)
    asked = session.ask(3)
    assert len(set(asked)) == 3 and all("at random" in reason for reason in asked.reasons)
    session.tell(asked, ["cat"] * 3)
    assert "labels of two classes" in session.ask().reasons[0]
    session.tell([50], ["dog"])
    assert session.predictions().shape == (60, 3)  # no label of an eel yet
    with pytest.raises(BadInput, match=r"'newt' is of no known class.*new_classes=True"):
        session.tell([51], ["newt"])
    session.tell(51, "newt", new_classes=True)
    assert session.classes == [*NAMES, "newt"] and session.predictions().shape == (60, 4)
    assert goralx.Session.load(tmp_path / "s").classes == session.classes


def test_skipped_samples_are_not_asked_and_everything_can_be_undone(tmp_path):
    session = begun(tmp_path)
    asked = list(session.ask(3))
    session.skip(asked[:2])
    assert not set(asked[:2]) & set(session.ask(48)) and session.skipped == set(asked[:2])
    session.tell(asked[2], "cat")
    assert asked[2] not in session.left
    assert session.undo()["event"] == "tell" and session.undo()["event"] == "skip"
    assert list(session.ask(3)) == asked
    session.undo()
    with pytest.raises(BadInput, match="nothing to undo"):
        session.undo()


def test_the_last_label_of_a_sample_counts(tmp_path):
    session = begun(tmp_path, labelled=0)
    session.tell([1, 2], ["cat", "dog"])
    session.tell(1, "eel")
    assert session.told == {2: "dog", 1: "eel"}
    session.undo()
    assert session.told == {1: "cat", 2: "dog"}


def test_when_nothing_is_left_it_is_said(tmp_path):
    session = begun(tmp_path, labelled=59)
    assert list(session.ask(10)) == [59]
    session.skip(59)
    with pytest.raises(BadInput, match="nothing is left to ask"):
        session.ask()


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_kill_at_any_byte_leaves_the_events_that_were_whole(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("journal") / "journal.jsonl"
    journal, states = Journal.open(path), [({}, set())]
    ends = [0]
    for _ in range(data.draw(st.integers(1, 8))):
        kind = data.draw(st.sampled_from(["tell", "skip", "undo"]))
        if kind == "undo":
            if not journal.events:
                continue
            journal.undo()
        else:
            ids = data.draw(st.lists(st.integers(0, 5), min_size=1, unique=True))
            labels = {"labels": [f"å\n{i}" for i in ids]} if kind == "tell" else {}
            journal.add(kind, ids=ids, **labels)
        states.append((journal.told, journal.skipped))
        ends.append(path.stat().st_size)
    cut = data.draw(st.integers(0, ends[-1]))
    if path.exists():
        path.write_bytes(path.read_bytes()[:cut])
    whole = max(i for i, end in enumerate(ends) if end <= cut)
    again = Journal.open(path)
    assert (again.told, again.skipped) == states[whole]
    again.add("skip", ids=[9])
    assert Journal.open(path).skipped == states[whole][1] | {9}


@pytest.mark.parametrize(
    "ids, labels, said",
    [
        ([60], ["cat"], "0 to 59"),
        ([-1], ["cat"], "0 to 59"),
        ([0.5], ["cat"], "row numbers"),
        ([1, 1], ["cat", "dog"], "stands there twice"),
        ([1, 2], ["cat"], "2 ids and 1 labels"),
        ([1], [float("nan")], "skip the sample"),
        ([1], [None], "texts, numbers or truth values"),
        ([1], ["bird"], "no known class"),
    ],
)
def test_what_cannot_be_told_is_refused_and_nothing_kept(tmp_path, ids, labels, said):
    session = begun(tmp_path, labelled=0)
    with pytest.raises(BadInput, match=said):
        session.tell(ids, labels)
    assert not (session.directory / "journal.jsonl").exists()


@pytest.mark.parametrize(
    "options, said",
    [
        ({"classes": ["a"]}, "two different"),
        ({"classes": ["a", "a"]}, "two different"),
        ({"goal": goralx.LogitGoal}, "objects cannot be"),
        ({"goal": "entt"}, "ent"),
        ({"operator": "oracle"}, "true labels"),
        ({"goal": "dev"}, "dev set"),
        ({"texts": ["one"]}, "60 rows"),
        ({"budget": 0}, "budget"),
    ],
)
def test_what_is_no_session_is_refused_and_leaves_no_folder(tmp_path, options, said):
    given = {"classes": NAMES, **options}
    with pytest.raises(goralx.GoralxError, match=said):
        goralx.Session(X, directory=tmp_path / "s", **given).ask()
    assert not (tmp_path / "s").exists()


def test_a_folder_in_use_an_empty_one_and_a_damaged_one(tmp_path):
    session = begun(tmp_path)
    with pytest.raises(BadInput, match=r"in use.*Session\.load"):
        begun(tmp_path)
    with pytest.raises(BadInput, match="holds no session"):
        goralx.Session.load(tmp_path)
    (session.directory / "pool.npz").write_bytes(b"PK")
    with pytest.raises(BadInput, match="damaged"):
        goralx.Session.load(session.directory)
    (session.directory / "session.json").write_text('{"format": 2}')
    with pytest.raises(BadInput, match="another version"):
        goralx.Session.load(session.directory)
    (session.directory / "journal.jsonl").write_text('{"event": "sing"}\n')
    with pytest.raises(BadInput, match="line 1 is damaged"):
        Journal.open(session.directory / "journal.jsonl")


# --- other tools ------------------------------------------------------------------------------

TEXTS = [f"sample {i} = {NAMES[k]}" for i, k in enumerate(Y)]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "json"])
def test_what_goes_out_comes_back_with_labels(tmp_path, ending):
    session, path = begun(tmp_path, texts=TEXTS), tmp_path / f"tasks.{ending}"
    asked = session.export(path, 6)
    assert list(asked) == list(session.ask(6))
    if ending == "json":
        tasks = json.loads(path.read_text())
        assert [task["data"]["text"] for task in tasks] == [TEXTS[i] for i in asked]
        assert all(0 < task["predictions"][0]["score"] <= 1 for task in tasks)
        for task in tasks[:4]:
            value = {"choices": [str(NAMES[Y[task["meta"]["goralx_id"]]])]}
            result = [{"from_name": "label", "to_name": "text", "type": "choices", "value": value}]
            task["annotations"] = [{"was_cancelled": False, "result": result}]
        tasks[4]["annotations"] = [{"was_cancelled": True, "result": []}]
        path.write_text(json.dumps(tasks))
    elif ending == "jsonl":
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        rows = [{**line, "label": str(NAMES[Y[line["id"]]])} for line in lines[:4]]
        path.write_text("".join(json.dumps(row) + "\n" for row in [*rows, *lines[4:]]))
    else:
        import pandas as pd

        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
        frame.loc[:3, "label"] = NAMES[Y[frame["id"].astype(int)[:4]]]
        frame.to_csv(path, index=False)
    assert session.take_in(path) == 4
    assert {i: session.told[i] for i in list(asked)[:4]} == {
        i: NAMES[Y[i]] for i in list(asked)[:4]
    }
    assert session.skipped == ({asked[4]} if ending == "json" else set())


@pytest.mark.parametrize(
    "name, content, said",
    [
        ("a.txt", "1,cat", "allowed: .json"),
        ("a.csv", "number,label\n1,cat\n", "whole number id"),
        ("a.csv", "id,label\none,cat\n", "whole number id"),
        ("a.csv", "id,label\n99,cat\n", "0 to 59"),
        ("a.csv", "id,label\n9,bird\n", "no known class"),
        ("a.jsonl", "{", "is not JSON"),
        ("a.json", "{}", "list of Label Studio"),
        ("a.json", '[{"data": {}}]', "goralx_id"),
    ],
)
def test_answers_that_cannot_be_taken_are_one_line_and_change_nothing(
    tmp_path, name, content, said
):
    session = begun(tmp_path)
    (tmp_path / name).write_text(content)
    told = session.told
    with pytest.raises(BadInput, match=said) as refused:
        session.take_in(tmp_path / name)
    assert "\n" not in str(refused.value) and session.told == told


def test_a_person_labels_texts_in_a_terminal(tmp_path, monkeypatch, capsys):
    rows = ["text,stars"] + [
        f'"{t}, which is quite {"good" if k else "bad"}",{k}' for t, k in zip(TEXTS, Y)
    ]
    (tmp_path / "reviews.csv").write_text("\n".join(rows))
    monkeypatch.chdir(tmp_path)
    answers = iter(["1", "good", "", "s", "u", "s", "awful", "2", "q"])
    monkeypatch.setattr("builtins.input", lambda prompt: next(answers))
    assert main(["label", "work", "reviews.csv", "--classes", "bad,good"]) == 0
    said = capsys.readouterr().out
    assert "[1] bad  [2] good" in said and "which is quite" in said and "'awful' is of no" in said
    assert "3 labelled, 1 skipped, 56 left · go on with: goralx label" in said
    monkeypatch.setattr("builtins.input", lambda prompt: (_ for _ in ()).throw(EOFError))
    assert main(["label", "work"]) == 0
    assert "3 labelled, 1 skipped" in capsys.readouterr().out
    assert main(["label", "work", "--export", "tasks.json", "-n", "5"]) == 0
    assert len(json.loads((tmp_path / "tasks.json").read_text())) == 5


@pytest.mark.parametrize(
    "words, said",
    [
        (["nowhere"], "no session yet"),
        (["new", "reviews.csv"], "--classes"),
        (["new", "nothing.csv", "--classes", "a,b"], "nothing.csv"),
        (["new", "reviews.csv", "--classes", "a,b", "--text", "body"], "no column 'body'"),
        (["new", "reviews.doc", "--classes", "a,b"], "allowed: .csv"),
        (["new", "empty.csv", "--classes", "a,b"], "row 1 is empty"),
    ],
)
def test_what_cannot_be_labelled_is_one_line(tmp_path, monkeypatch, capsys, words, said):
    (tmp_path / "reviews.csv").write_text("review,stars\nfine,3\n")
    (tmp_path / "reviews.doc").write_text("fine")
    (tmp_path / "empty.csv").write_text("text,b\nfine,1\n ,2\n")
    monkeypatch.chdir(tmp_path)
    assert main(["label", *words]) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1 and said in line
    assert not (tmp_path / "new").exists()
