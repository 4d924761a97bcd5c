import pytest

from app.discovery.targets import TargetList, TargetsError, parse_targets

YAML = b"""
# written by hand
- targets: ["10.0.0.1:10901", store.example:10901]
  labels: {region: eu, __address__: ignored, number: 5}
- targets:
  - "[::1]:10901"
- labels: {}
"""
JSON = b"""[{"targets": ["10.0.0.1:10901"], "labels": {"a": "b"}}, {"targets": []}]"""


def test_yaml() -> None:
    assert parse_targets(YAML, json=False).addresses == (
        "10.0.0.1:10901",
        "store.example:10901",
        "[::1]:10901",
    )


def test_json() -> None:
    assert parse_targets(JSON, json=True) == TargetList(("10.0.0.1:10901",))
    assert parse_targets(JSON, json=False) == TargetList(("10.0.0.1:10901",)), "YAML includes JSON"


@pytest.mark.parametrize("json", [True, False])
def test_an_empty_list_is_a_list(json: bool) -> None:
    assert parse_targets(b"[]\n", json=json) == TargetList(())


@pytest.mark.parametrize("json", [True, False])
@pytest.mark.parametrize("raw", [b"", b" \n"])
def test_an_empty_file_is_half_written(raw: bytes, json: bool) -> None:
    with pytest.raises(TargetsError, match=r"write \[\]"):
        parse_targets(raw, json=json)


@pytest.mark.parametrize(
    "raw",
    [
        b"# only a comment\n",
        b"targets: [a:1]",
        b'- targets: ["a:1"',
        b"- target: [a:1]",
        b"- targets: a:1",
        b"- targets: [1]",
        b"- a:1",
        b"- targets: [a:1]\n  labels: [x]",
        b"\xff\xfe\x00",
        b"- !!python/object/apply:os.system [ls]",
        b"[" * 100_000,
    ],
)
def test_what_is_no_list_of_target_groups(raw: bytes) -> None:
    with pytest.raises(TargetsError) as caught:
        parse_targets(raw, json=False)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("end", range(1, len(JSON)))
def test_json_cut_off_anywhere_is_refused(end: int) -> None:
    with pytest.raises(TargetsError):
        parse_targets(JSON[:end], json=True)


def test_deep_json_is_refused() -> None:
    with pytest.raises(TargetsError):
        parse_targets(b"[" * 1_000_000, json=True)


def test_targets_that_are_no_addresses_are_told_apart() -> None:
    targets = parse_targets(b"- targets: [a:1, http://b:2, c, 'd:3']", json=False)
    assert targets.addresses == ("a:1", "d:3")
    assert len(targets.faults) == 2
    assert "http://b:2" in targets.faults[0]
