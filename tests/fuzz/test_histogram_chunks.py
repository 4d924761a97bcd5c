"""Chunks of native histograms as nobody wrote them."""

import subprocess
import sys
import textwrap


def test_bounds_hold_with_pythons_own_checks() -> None:
    """Plain Python runs the same kernels: an index beyond an array raises there."""
    code = """
        import random
        from app.engine.model import EvaluationError
        from tests.unit.engine.select.test_histograms import WRITTEN, _decoded
        chance = random.Random(7)
        for _ in range(150):
            data, floats = chance.choice(WRITTEN)
            payload = bytearray(data)
            for _ in range(chance.randint(0, 4)):
                payload[chance.randrange(len(payload))] = chance.randrange(256)
            try:
                _decoded([(bytes(payload[: chance.choice([9999, chance.randrange(200)])]), 1 + floats)])
            except EvaluationError:
                pass
    """
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)],
        env={"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": "."},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert result.returncode == 0, result.stderr
