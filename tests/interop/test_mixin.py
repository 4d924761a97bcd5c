"""Alerts, rules and dashboard of deploy/mixin: promtool takes them, and they speak of what there is."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.harness.metrics import on_the_page
from tests.harness.programs import ROOT, output_of

MIXIN = ROOT / "deploy/mixin"
_NAME = re.compile(r"\b(?:crossrealm|thanos|grpc|http|prometheus)_[a-z0-9_]+")
_LABELS = re.compile(r"by \([^)]*\)")
_RECORDED = re.compile(r"\b[a-z]+:[a-z0-9_]+:[a-z0-9_]+")


def rules(name: str) -> list[dict[str, Any]]:
    groups = yaml.safe_load((MIXIN / name).read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    return dict(json.loads((MIXIN / "dashboards/crossrealm.json").read_text()))


def expressions() -> list[str]:
    """Of the dashboard, with its variable filled in."""
    found = [target["expr"] for panel in dashboard()["panels"] for target in panel["targets"]]
    return [each.replace("$instance", ".*") for each in found]


def test_promtool_takes_the_rules_and_its_tests_pass() -> None:
    assert "SUCCESS" in output_of("promtool", "check", "rules", MIXIN / "alerts.yaml", MIXIN / "rules.yaml")
    output_of("promtool", "test", "rules", MIXIN / "tests.yaml")


def test_promtool_takes_the_expressions_of_the_dashboard(tmp_path: Path) -> None:
    recorded = [{"record": f"panel:{number}", "expr": each} for number, each in enumerate(expressions())]
    path = tmp_path / "dashboard.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": recorded}]}))
    assert f"{len(recorded)} rules found" in output_of("promtool", "check", "rules", path)


def test_every_alert_is_tested_both_ways() -> None:
    cases: dict[str, set[bool]] = {}
    for test in yaml.safe_load((MIXIN / "tests.yaml").read_text())["tests"]:
        for case in test["alert_rule_test"]:
            cases.setdefault(case["alertname"], set()).add(bool(case["exp_alerts"]))
    assert cases == {rule["alert"]: {True, False} for rule in rules("alerts.yaml")}


def test_every_metric_exists() -> None:
    described = {metric.name: metric.kind for metric in on_the_page()}
    recorded = {rule["record"] for rule in rules("rules.yaml")}
    written = [
        *expressions(),
        *(rule["expr"] for name in ("alerts.yaml", "rules.yaml") for rule in rules(name)),
    ]
    for text in written:
        assert set(_RECORDED.findall(text)) <= recorded, text
        for name in _NAME.findall(_LABELS.sub("", _RECORDED.sub("", text))):
            base = name if name in described else re.sub(r"_(bucket|sum|count)$", "", name)
            assert base in described, (name, text)
            assert base == name or described[base] == "histogram", (name, text)


@pytest.mark.parametrize("rule", rules("alerts.yaml"), ids=lambda rule: rule["alert"])
def test_every_alert_says_how_bad_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("warning", "critical")
    page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    titles = re.findall(r"^## (.*)$", (ROOT / page).read_text(), re.MULTILINE)
    assert anchor in {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in titles}
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["description"]
    assert "for" in rule


def test_the_dashboard_is_whole() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert {panel["datasource"]["uid"] for panel in panels} == {"${datasource}"}
    assert {each["name"] for each in dashboard()["templating"]["list"]} == {"datasource", "instance"}
    places = {
        (panel["gridPos"]["x"] + column, panel["gridPos"]["y"])
        for panel in panels
        for column in range(panel["gridPos"]["w"])
    }
    assert len(places) == sum(panel["gridPos"]["w"] for panel in panels), "panels lie on each other"
