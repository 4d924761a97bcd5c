"""Relabeling rules that choose what is asked: what they mean, and every fault of them, all at once."""

from pathlib import Path

import pytest

from app.config.model import RelabelRule
from app.config.query_flags import QueryFlags, query_settings
from app.config.relabel_config import load_relabel_config, parse_relabel_config, substituted
from app.errors import ConfigError


def faults(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_relabel_config(text.encode(), "f")
    return [str(problem) for problem in caught.value.problems]


def test_everything_that_a_rule_may_say() -> None:
    rules = parse_relabel_config(
        b"""
- action: HashMod
  source_labels: [realm, replica]
  separator: "-"
  modulus: 2
  target_label: shard
- action: keep
  source_labels: [shard]
  regex: 0
- {action: drop, source_labels: [realm], regex: "us-.*", replacement: $1}
""",
        "f",
    )
    assert rules == (
        RelabelRule(
            action="hashmod",
            source_labels=("realm", "replica"),
            separator="-",
            modulus=2,
            target_label="shard",
        ),
        RelabelRule(action="keep", source_labels=("shard",), regex="0"),
        RelabelRule(action="drop", source_labels=("realm",), regex="us-.*"),
    )


@pytest.mark.parametrize("text", ["", "# nothing\n", "[]", "null"])
def test_no_rules(text: str) -> None:
    assert parse_relabel_config(text.encode(), "f") == ()


@pytest.mark.parametrize(
    ("written", "means"),
    [
        ("007", "007"),
        ("1.50", "1.50"),
        ("0x10", "0x10"),
        ("yes", "yes"),
        ("", ""),
        ("~", ""),
        ('"null"', "null"),
        ("2020-01-02", "2020-01-02"),
    ],
)
def test_a_text_is_what_is_written_be_it_a_number_to_yaml(written: str, means: str) -> None:
    (rule,) = parse_relabel_config(f"- action: keep\n  regex: {written}\n".encode(), "f")
    assert rule.regex == means


def test_all_faults_with_their_lines() -> None:
    assert faults(
        """
- source_labels: [a]
- action: labelmap
- action: [keep]
- action: kep
  regx: x
- action: keep
  source_labels: a
  regex: "("
  separator: {}
- action: hashmod
- action: hashmod
  modulus: -1
  target_label: ""
- action: hashmod
  modulus: "8"
  target_label: shard
- keep
- action:
  source_labels: ["", 5]
"""
    ) == [
        "f:2: item 1: action: unsupported relabel action: replace (where none is written)"
        " (write keep, drop or hashmod)",
        "f:3: item 2: action: unsupported relabel action: labelmap (write keep, drop or hashmod)",
        "f:4: item 3: action: a text is wanted, not a list",
        "f:6: item 4: regx: unknown key (did you mean regex?)",
        'f:5: item 4: action: unknown relabel action "kep" (write keep, drop or hashmod)',
        "f:8: item 5: source_labels: a list is wanted, not a text",
        "f:9: item 5: regex: '(' is not a regular expression: missing ): (",
        "f:10: item 5: separator: a text is wanted, not a mapping",
        "f:11: item 6: modulus: relabel configuration for hashmod requires non-zero modulus",
        "f:11: item 6: target_label: relabel configuration for hashmod action requires 'target_label' value",
        "f:13: item 7: modulus: -1 is not between 1 and 18446744073709551615",
        "f:12: item 7: target_label: relabel configuration for hashmod action requires 'target_label' value",
        "f:16: item 8: modulus: a number from 1 to 18446744073709551615 is wanted, not a text",
        "f:18: item 9: a mapping is wanted, not a text",
        "f:19: item 10: action: relabel action cannot be empty (write keep, drop or hashmod)",
        "f:20: item 10: source_labels: a text is wanted, not a number",
        "f:20: item 10: source_labels: a label's name is empty",
    ]


def test_what_is_no_list() -> None:
    assert faults("action: keep") == [
        "f: a list of relabeling rules is wanted, not a mapping (begin each rule with a dash)"
    ]
    assert faults("- a: }")[0].startswith("f:1:6: not valid YAML")


def test_the_environment_is_written_in() -> None:
    text = b"- {action: keep, regex: $(SHARD_0), source_labels: [$(NAME)]} # $HOME ${HOME} $()"
    found = substituted(text, "f", {"SHARD_0": "eu", "NAME": "realm", "HOME": "/"})
    assert found == b"- {action: keep, regex: eu, source_labels: [realm]} # $HOME ${HOME} $()"
    with pytest.raises(ConfigError) as caught:
        substituted(text, "f", {})
    assert [str(each) for each in caught.value.problems] == [
        "f: the environment variable NAME is not set",
        "f: the environment variable SHARD_0 is not set",
    ]


def test_the_flags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSREALM_TEST_REALM", "eu")
    text = "- {action: keep, source_labels: [realm], regex: $(CROSSREALM_TEST_REALM)}"
    file = tmp_path / "rules.yaml"
    file.write_text(text)
    wanted = (RelabelRule(action="keep", source_labels=("realm",), regex="eu"),)
    for flags in (
        QueryFlags(selector_relabel_config=text),
        QueryFlags(selector_relabel_config_file=str(file)),
    ):
        assert query_settings(flags).relabel_rules == wanted
    assert query_settings(QueryFlags()).relabel_rules == ()
    with pytest.raises(ConfigError) as caught:
        load_relabel_config(str(file), text)
    assert str(caught.value.problems[0]) == (
        "--selector.relabel-config-file: it excludes --selector.relabel-config (use one of them)"
    )


def test_faults_come_with_those_of_the_other_flags(tmp_path: Path) -> None:
    flags = QueryFlags(selector_relabel_config="- {action: replace}", selector_label=("x",))
    with pytest.raises(ConfigError) as caught:
        query_settings(flags)
    texts = [str(each) for each in caught.value.problems]
    assert any(text.startswith("--selector.relabel-config:1: item 1: action: unsupported") for text in texts)
    assert any(text.startswith("--selector-label: ") for text in texts)
    missing = str(tmp_path / "gone.yaml")
    with pytest.raises(ConfigError) as caught:
        query_settings(QueryFlags(selector_relabel_config_file=missing))
    assert [str(each) for each in caught.value.problems] == [f"{missing}: no such file or directory"]
