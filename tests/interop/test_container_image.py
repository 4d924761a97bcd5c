"""The Dockerfile, as far as it can be judged without a container engine."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from tests.harness.programs import ROOT, flags_of, output_of

DOCKERFILE = ROOT / "Dockerfile"


class Instruction(NamedTuple):
    name: str
    value: str


def stages() -> list[list[Instruction]]:
    """The instructions of each stage, with lines joined; without comments and what stands before FROM."""
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE)
    found: list[list[Instruction]] = []
    for line in re.sub(r"\\\n", " ", text).splitlines():
        name, _, value = line.strip().partition(" ")
        if name == "FROM":
            found.append([])
        if name and found:
            found[-1].append(Instruction(name, value.strip()))
    return found


def values(stage: list[Instruction], name: str) -> Iterator[str]:
    return (each.value for each in stage if each.name == name)


def environment(stage: list[Instruction]) -> dict[str, str]:
    return dict(pair.split("=", 1) for value in values(stage, "ENV") for pair in value.split())


def test_the_linter_has_nothing_to_say() -> None:
    assert output_of("hadolint", "--no-color", DOCKERFILE) == ""


def test_the_last_stage_runs_as_nobody_in_particular() -> None:
    (user,) = values(stages()[-1], "USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user), "a number, for runAsNonRoot"


def test_the_last_stage_has_no_tools_to_build_with() -> None:
    *_, last = stages()
    (run,) = values(last, "RUN")
    assert run.startswith("pip uninstall ")
    assert {"pip", "setuptools", "wheel"} <= set(run.split())
    assert [value.split()[0] for value in values(last, "COPY")] == ["--from=build"]


def test_everything_that_is_installed_is_pinned_by_hash() -> None:
    installs = [
        command
        for stage in stages()
        for run in values(stage, "RUN")
        for command in run.split("&&")
        if " install " in command
    ]
    assert len(installs) == 3
    assert all("--require-hashes" in each or "--no-deps /wheels/" in each for each in installs)


def test_both_stages_agree_on_the_compiled_kernels() -> None:
    build, last = map(environment, stages())
    for name in ("NUMBA_CPU_NAME", "NUMBA_CACHE_DIR"):
        assert build[name] == last[name]
    assert last["NUMBA_CPU_NAME"] == "generic", "or they are for the CPU that built them"
    assert any("crossrealm warmup" in run for run in values(stages()[0], "RUN"))


def test_health_is_asked_where_the_server_is_by_default() -> None:
    *_, last = stages()
    (health,) = values(last, "HEALTHCHECK")
    (command,) = values(last, "CMD")
    address = str(flags_of([command.strip('[]"')])["http_address"])
    assert f"http://127.0.0.1:{address.rpartition(':')[2]}/-/healthy" in health


def test_what_is_copied_is_sent_to_the_builder_and_keys_are_not() -> None:
    rules = (ROOT / ".dockerignore").read_text().splitlines()
    allowed = {line[1:] for line in rules if line.startswith("!")}
    assert "*" in rules
    build, _ = stages()
    sources = {source for value in values(build, "COPY") for source in value.split()[:-1]}
    for source in sources:
        assert (ROOT / source).exists(), source
        assert source.split("/")[0] in allowed, source
    assert allowed == {source.split("/")[0] for source in sources}
    assert rules.index("**/*.key") > max(rules.index(f"!{name}") for name in allowed), "the last rule decides"
