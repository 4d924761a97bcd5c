"""What is compiled in advance is all that queries use: compiling takes seconds."""

import subprocess
import sys
import textwrap


def test_nothing_is_compiled_by_a_query_after_warming() -> None:
    code = """
        import anyio, numpy as np
        from app.engine import kernels
        from app.engine.select.warming import compile_kernels
        compile_kernels()
        compiled = lambda: {
            name: each.signatures for name in kernels.__all__
            if hasattr(each := getattr(kernels, name), "signatures")
        }
        before = {name: list(found) for name, found in compiled().items()}
        from tests.unit.engine.select import test_odd, test_select
        test_select.test_equal_series_come_together_and_equal_chunks_once()
        test_select.test_replicas_are_told_apart_and_merged(True)
        test_select.test_without_deduplication_replicas_stay()
        test_select.test_more_than_first_fits_is_taken_in()
        test_odd.test_replicas_of_downsampled_counters_are_merged()
        test_odd.test_else_it_is_the_average()
        after = compiled()
        late = [name for name, found in after.items() if list(found) != before[name] and found]
        print(late)
    """
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=110,
        check=True,
    )
    assert result.stdout.strip() == "[]", result.stdout
