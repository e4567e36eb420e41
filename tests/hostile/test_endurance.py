"""The endurance benchmark works, and finds nothing in its first mutants. By hand it goes through a million."""

import json
import sys
from pathlib import Path

import pytest
from process import run

ENDURANCE = Path(__file__).resolve().parents[2] / "benchmarks" / "endurance.py"

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="forks and kills processes")]


@pytest.mark.slow
def test_no_fault_in_the_first_mutants(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    for mutants in (300, 600):  # the second run goes on where the first ended
        ended = run([sys.executable, ENDURANCE, "--mutants", str(mutants), "--kills", "0", "--state", state])
        assert ended.code == 0, ended.out.decode()
        kept = json.loads(state.read_text())
        assert kept["faults"] == []
        attempts = {name: tally["attempts"] for name, tally in kept["classes"].items()}
        assert mutants <= sum(attempts.values()) < mutants + 40
        assert min(attempts[name] for name in ("photo: JPEG", "model file", "feature cache")) > 0
