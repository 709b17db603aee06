"""Python 3.14's argparse refuses one of Hydra's flags; goralx gets by."""

from __future__ import annotations

import argparse
import sys

import pytest

from tests.program import SHORT, call, runs


@pytest.fixture
def strict(monkeypatch):
    """argparse as of Python 3.14, in this respect: each help text is expanded when it is added."""
    if sys.version_info >= (3, 14):
        return
    add = argparse._ActionsContainer.add_argument

    def check(self, action):
        if action.help and hasattr(self, "_get_formatter"):
            try:
                self._get_formatter()._expand_help(action)
            except (ValueError, TypeError, KeyError) as error:
                raise ValueError("badly formed help string") from error

    def add_argument(self, *names, **options):
        action = add(self, *names, **options)
        self._check_help(action)
        return action

    monkeypatch.setattr(argparse._ActionsContainer, "_check_help", check, raising=False)
    monkeypatch.setattr(argparse._ActionsContainer, "add_argument", add_argument)


def test_a_run_and_the_help_page_get_by_a_help_text_that_is_none(
    strict, tmp_path, monkeypatch, capsys
):
    from hydra._internal.utils import get_args_parser

    check = argparse._ActionsContainer._check_help
    try:
        get_args_parser()
    except ValueError:
        pass
    else:
        pytest.skip("this Hydra has mended it: _help_unread can go")
    monkeypatch.chdir(tmp_path)
    done = call(capsys, *SHORT, "figures=false")
    assert done.status == 0, done.err
    assert len(runs(tmp_path)) == 1
    asked = call(capsys, "--help")
    assert asked.status == 0 and "goralx resume" in asked.out
    assert argparse._ActionsContainer._check_help is check
