"""A round is reproduced from its record whatever the penalty is."""

from __future__ import annotations

import json

import pytest

from tests.program import SHORT, call


@pytest.mark.parametrize("C", ["1e-4", "1e4"])
def test_a_recorded_round_is_reproduced_at_any_C(C, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    ran = call(capsys, *SHORT, f"model.C={C}", "goal=ent", "operator=average", "hydra.run.dir=run")
    assert ran.status == 0, ran.err
    done = call(capsys, "explain", "run", "--json")
    assert done.status == 0, done.err
    assert json.loads(done.out)["reproduced"] is True
