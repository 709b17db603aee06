"""The report as a folder: complete, exact, escaped, self-contained; looked at by a browser too."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import xml.dom.minidom
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest

from goralx import comparison, report
from goralx.comparison import gather, group
from goralx.errors import BadInput
from goralx.escaping import from_csv
from goralx.report import folder as folder_module
from goralx.report import publishing
from goralx.report.palette import COLOURS, assign, look, project_palette
from goralx.report.publishing import WIDTHS, Published, inlined, spread
from goralx.report.style import FORMATS
from tests.comparison import made

HOSTILE = '=2+2<script>alert("x")</script>$a_b$ & {\\bf |x|}'
"""A formula, a script, mathematics, LaTeX and Markdown in one name of a data set."""

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)


@pytest.fixture(scope="module")
def arms(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    made.sweep(folder, seeds=range(8), datasets=("iris", HOSTILE))
    made.record(folder / "going", 9, dataset="iris", status="running")
    return group(*gather(made.folders(folder)))


@pytest.fixture(scope="module")
def written(arms, tmp_path_factory):
    """The whole report, drawn once for all tests here."""
    folder = tmp_path_factory.mktemp("out") / "report"
    done = report.write(arms, folder, title="Report", baseline=arms.find("random"))
    assert done.page == folder / "report.html"
    return folder


@pytest.fixture
def undrawn(monkeypatch):
    """Pictures cost seconds; what they are called is enough."""

    def named(picture, folder):
        return Published(picture.name, picture.title, picture.caption, "<svg></svg>", "<svg></svg>")

    monkeypatch.setattr(folder_module, "publish_widths", named)


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_file_is_there(written):
    names = {p.name for p in written.iterdir()}
    assert names == {
        "report.html", "runs.csv", "curves.csv", "comparisons.csv", "labels_needed.csv",
        "label_savings.csv", "tables.md", "tables.tex", "figures",
    }  # fmt: skip
    figures = {p.name for p in (written / "figures").iterdir()}
    pictures = {name.rsplit("_", 1)[0] for name in figures}
    assert figures == {f"{p}_{w}.{f}" for p in pictures for w in WIDTHS for f in FORMATS}
    assert pictures >= {
        "learning_curves_queries", "learning_curves_labels", "goal_curves_ent", "upper_bounds",
        "upper_bounds_goal_ent", "differences", "labels_needed", "critical_difference",
        "utilities_1", "changes_2",
    }  # fmt: skip


def test_pictures_have_the_widths_and_the_resolution_of_print(written):
    from matplotlib.image import imread

    for width, inches in WIDTHS.items():
        image = imread(written / "figures" / f"learning_curves_queries_{width}.png")
        assert image.shape[1] == pytest.approx(300 * inches, abs=1)
        assert 0.005 < (image[..., :3] < 0.9).any(axis=-1).mean() < 0.5
        pdf = (written / "figures" / f"learning_curves_queries_{width}.pdf").read_bytes()
        assert pdf.startswith(b"%PDF")


def test_tables_have_the_columns_that_were_promised(written):
    heads = {
        "curves.csv": "data set,arm,metric,n_labelled,mean,low,high,n_seeds,cost",
        "comparisons.csv": "data set,metric,a,b,n_pairs,mean_difference,low,high,p,p_holm,wins,"
        "ties,losses,verdict",
        "labels_needed.csv": "data set,arm,share,median,low,high,n_reached,n_seeds",
    }
    for name, head in heads.items():
        assert (written / name).read_text().splitlines()[0] == head
    assert (written / "runs.csv").read_text().startswith("data set,arm,seed,fingerprint,aulc,")


def test_tables_hold_what_was_computed(written, arms):
    found = comparison.compare_all(arms)
    rows = table(written / "comparisons.csv")
    assert len(rows) == len(found)
    for row, c in zip(rows, found):
        assert (from_csv(row["data set"]), row["a"], row["b"]) == (c.dataset, c.a.label, c.b.label)
        assert (
            float(row["p_holm"]) == c.p_holm and float(row["mean_difference"]) == c.mean_difference
        )
        assert row["verdict"] == c.verdict and int(row["wins"]) == c.wins
    runs = table(written / "runs.csv")
    assert len(runs) == 2 * 4 * 8 and {len(r["fingerprint"]) for r in runs} == {64}
    some = runs[0]
    run = next(r for r in arms.all_runs if r.fingerprint == some["fingerprint"])
    assert float(some["accuracy"]) == run.rounds["test/accuracy"][-1]
    curves = [r for r in table(written / "curves.csv") if r["data set"] == "iris"
              and (r["arm"], r["metric"]) == ("random", "accuracy")]  # fmt: skip
    stack = [r.rounds["test/accuracy"] for r in arms.of("iris", arms.find("random"))]
    assert [float(r["mean"]) for r in curves] == pytest.approx(np.mean(stack, axis=0))
    needed = table(written / "labels_needed.csv")
    assert len(needed) == 2 * 4 * 3
    assert {r["a"] for r in rows} | {r["b"] for r in rows} == {"random", "uncertainty", "ent max"}


class Page(HTMLParser):
    """Tags, links and text of a page; tags are closed in the order they were opened."""

    VOID = frozenset(("meta", "link", "br", "path", "use", "rect"))

    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.links, self.text, self.stack = [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        given = dict(attrs)
        self.ids += [given["id"]] if "id" in given else []
        self.links += [v for k, v in given.items() if k in ("src", "href", "xlink:href", "action")]
        if tag not in self.VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.stack.pop()

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.stack.pop() == tag

    def handle_data(self, data):
        if not self.stack or self.stack[-1] != "style":
            self.text.append(data)


def test_the_page_is_whole_and_points_nowhere_outside(written):
    text = (written / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.stack == [] and "script" not in page.tags
    assert len(page.ids) == len(set(page.ids)), "ids of one page are its own"
    assert all(link.startswith("#") or link == "data:," for link in page.links)
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    assert not re.search(r"https?:|//[a-z]|url\((?!#)|@import", text)


def test_the_page_says_what_it_should(written, arms):
    text = " ".join(" ".join(Page((written / "report.html").read_text()).text).split())
    for c in comparison.compare_all(arms):
        assert " ".join(comparison.of_comparison(arms, c).split()) in text
    assert HOSTILE in text
    assert "cut short by a hard kill" in text and "goralx resume" in text
    assert "truth used" in text and "saw the hidden labels" in text
    for word in ("Friedman", "Kaplan-Meier", "Holm", "Time and memory", "Audits and kappa"):
        assert word in text
    for run in arms.all_runs[:3]:
        assert run.fingerprint[:16] in text


def test_names_are_escaped_wherever_they_go(written):
    raw = (written / "report.html").read_text()
    assert "<script" not in raw
    for name in ("runs.csv", "comparisons.csv", "curves.csv", "labels_needed.csv"):
        cells = [cell for line in csv.reader((written / name).open(newline="")) for cell in line]
        assert not any(cell.startswith(("=", "@")) for cell in cells)
    latex = (written / "tables.tex").read_text()
    assert r"\$a\_b\$ \& \{\textbackslash{}bf" in latex and "<script>" not in latex
    markdown = (written / "tables.md").read_text()
    assert r"\<script\>" in markdown
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    assert all(len(re.findall(r"(?<!\\)\|", line)) > 2 for line in lines)


def test_drawings_within_the_page_are_well_formed(written):
    text = (written / "report.html").read_text()
    drawings = re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL)
    assert len(drawings) == 2 * text.count("<figure")
    for drawing in drawings[:4]:
        named = drawing.replace("<svg", '<svg xmlns:xlink="x"', 1)
        xml.dom.minidom.parseString(named.encode())


def browse(page, tmp_path):
    """Load a page without a network: what the browser asked the network for, and a picture."""
    log, picture = tmp_path / "net.json", tmp_path / "page.png"
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--no-first-run", f"--user-data-dir={tmp_path / 'profile'}",
        "--host-resolver-rules=MAP * ~NOTFOUND", f"--log-net-log={log}",
        f"--screenshot={picture}", "--window-size=1100,2000", page.as_uri(),
    ]  # fmt: skip
    subprocess.run(command, capture_output=True, timeout=300, check=True)
    text = log.read_text()
    asked = re.findall(r'"url":"([^"]+)"', text if text.rstrip().endswith("}") else text + "]}")
    errands = ("google", "gstatic")  # the browser's own
    return {url for url in asked if url.startswith("http") and not any(map(url.count, errands))}, (
        picture
    )


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_a_browser_asks_for_nothing_but_the_page(written, tmp_path):
    asked, picture = browse(written / "report.html", tmp_path)
    assert asked == set()
    from matplotlib.image import imread

    assert (imread(picture)[..., :3] < 0.9).any(axis=-1).mean() > 0.01
    outside = tmp_path / "outside.html"
    outside.write_text('<img src="http://elsewhere.example/x.png">')
    (tmp_path / "b").mkdir()
    asked, _ = browse(outside, tmp_path / "b")
    assert "http://elsewhere.example/x.png" in asked


# Without pictures --------------------------------------------------------------------------------


def test_a_report_replaces_an_earlier_one_and_nothing_else(arms, tmp_path, undrawn):
    folder = tmp_path / "report"
    report.write(arms, folder, title="first")
    report.write(arms, folder, title="second")
    assert "second" in (folder / "report.html").read_text()
    assert [p.name for p in tmp_path.iterdir()] == ["report"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(BadInput, match="something else"):
        report.write(arms, tmp_path / "mine", title="x")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine", "report"]


def test_a_report_that_fails_leaves_nothing_behind(arms, tmp_path, monkeypatch):
    def full(picture, folder):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folder_module, "publish_widths", full)
    with pytest.raises(BadInput, match="No space left"):
        report.write(arms, tmp_path / "report", title="x")
    assert list(tmp_path.iterdir()) == []


def test_one_arm_on_one_data_set_is_a_report_too(tmp_path, undrawn):
    made.sweep(tmp_path / "runs", seeds=range(1), datasets=("wine",),
               arms={"random": made.ARMS["random"]})  # fmt: skip
    arms = group(*gather(made.folders(tmp_path / "runs")))
    done = report.write(arms, tmp_path / "report", title="x")
    text = done.page.read_text()
    assert "nothing to compare" in text and "critical_difference" not in text
    assert done.n_doubts >= 2 and not done.headlines


def test_a_baseline_alone_makes_a_smaller_family(arms, tmp_path, undrawn):
    report.write(arms, tmp_path / "r", title="x", baseline=arms.find("random"),
                 against_baseline_only=True)  # fmt: skip
    rows = table(tmp_path / "r" / "comparisons.csv")
    assert {row["b"] for row in rows} == {"random"} and len(rows) == 2 * 2 * 3


def test_progress_is_told(arms, tmp_path, undrawn):
    told = []
    report.write(arms, tmp_path / "r", title="x", progress=lambda *step: told.append(step))
    assert [done for done, _, _ in told] == list(range(len(told)))
    assert told[-1][1] == len(told) and told[-1][2] == "tables and page"


# Colours and places ------------------------------------------------------------------------------


def test_an_arm_keeps_its_colour(tmp_path):
    file = tmp_path / "outputs" / "colours.json"
    first = project_palette(["strategy=random", "a", "b"], file)
    later = project_palette(["c", "b", "strategy=random"], file)
    assert later["b"] == first["b"] and later["strategy=random"] == first["strategy=random"]
    assert later["c"] not in first.values()
    assert set(json.loads(file.read_text())) == {"strategy=random", "a", "b", "c"}


def test_arms_of_one_report_look_unlike():
    slots = assign([f"arm {i}" for i in range(30)], {})
    looks = {(look(s).colour, str(look(s).dash)) for s in slots.values()}
    assert len(looks) == 30
    known = {f"arm {i}": i for i in range(8)}
    assert assign(["arm 3", "new"], known)["new"] % len(COLOURS) != 3


def test_colours_are_told_apart_without_red_or_green():
    """Simulated deuteranopia and protanopia (Vienot 1999), in linear RGB: no two alike."""
    from matplotlib.colors import to_rgb

    linear = np.array([to_rgb(c) for c in COLOURS]) ** 2.2
    deutan = np.array([[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]])
    protan = np.array([[0.11238, 0.88762, 0.0], [0.11238, 0.88762, 0.0], [0.00401, -0.00401, 1.0]])
    for seen_by in (deutan, protan):
        seen = np.clip(linear @ seen_by.T, 0, 1) ** (1 / 2.2)
        apart = np.linalg.norm(seen[:, None] - seen, axis=-1) + 9 * np.eye(len(seen))
        assert apart.min() > 0.1


def test_a_damaged_palette_is_a_line(tmp_path):
    (tmp_path / "colours.json").write_text("[1")
    with pytest.raises(BadInput, match="dealt anew"):
        project_palette(["a"], tmp_path / "colours.json")


@pytest.mark.parametrize("wanted", [[], [0.5], [0.5, 0.5, 0.5], [0.9, 0.1], [0.99, 1.0, 0.98]])
def test_labels_are_moved_apart_as_little_as_may_be(wanted):
    places = spread(wanted, 0.1)
    assert len(places) == len(wanted)
    ordered = sorted(places)
    assert all(b - a >= 0.1 - 1e-9 for a, b in pairwise(ordered))
    if len(wanted) > 1:
        assert max(places) <= 1.0 + 1e-9
    if len(wanted) < 2 or wanted == [0.9, 0.1]:
        assert places == pytest.approx(wanted)


def test_inlined_drawings_have_ids_of_their_own():
    given = '<?xml version="1.0"?>\n<svg xmlns="n" width="9pt" height="2pt" viewBox="0 0 9 2">' + (
        '<metadata>a</metadata><path id="p"/><use xlink:href="#p"/><g clip-path="url(#c)"/></svg>'
    )
    assert inlined(given, "x") == (
        '<svg viewBox="0 0 9 2"><path id="x-p"/><use xlink:href="#x-p"/>'
        '<g clip-path="url(#x-c)"/></svg>'
    )


def test_the_same_picture_is_the_same_file(arms, tmp_path):
    from goralx.report import comparison_figures

    looks = dict(zip(arms.arms, map(look, range(4))))
    ranks = comparison.rank(arms)
    for name in ("a", "b"):
        picture = comparison_figures.critical_difference(ranks, looks)
        publishing.publish_widths(picture, tmp_path / name)
    for suffix in FORMATS:
        first, second = (
            (tmp_path / n / f"critical_difference_column.{suffix}").read_bytes() for n in "ab"
        )
        assert first == second
