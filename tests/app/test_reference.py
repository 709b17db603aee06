"""The reference is what the components say today."""

from __future__ import annotations

import goralx
from goralx.app import reference
from goralx.app.choices import experiments
from goralx.app.commands import COMMANDS
from goralx.discovery import registry


def test_the_page_is_what_the_components_say():
    """After a change of a component, an option or conf/: python -m goralx.app.reference."""
    written = reference.PAGE.read_text(encoding="utf-8")
    assert written == reference.page(registry()), "run: python -m goralx.app.reference"


def test_it_has_everything_there_is():
    lines = reference.PAGE.read_text(encoding="utf-8").splitlines()
    said = {line.partition(" (")[0].partition(":")[0] for line in lines}
    for component in registry().components.values():
        if component.origin == "goralx":
            assert f"### {component.chosen}" in said
            for option in component.options:
                begun = f"- `{component.prefix}.{option}="
                assert any(line.startswith(begun) for line in lines), begun
    assert all(f"- `goralx.{name}`" in said for name in goralx.__all__)
    assert all(f"- `experiment={name}`" in said for name in experiments())
    assert all(any(line.startswith(f"- `goralx {name}") for line in lines) for name in COMMANDS)


def test_a_meaning_may_go_on_below(tmp_path):
    file = tmp_path / "it.yaml"
    file.write_text(
        "# what it is\ndefaults:\n  - _self_\n\na: '#1'  # the first,\n       # and more\nb: 2\n"
        "# of nothing\nc: [1,2]  # last\n"
    )
    assert reference.meanings(file) == {"a": "the first, and more", "c": "last"}
    assert reference.meanings(tmp_path / "not there.yaml") == {}
