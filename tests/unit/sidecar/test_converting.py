"""Prometheus's answers as messages, where Thanos adds what Prometheus does not say."""

import msgspec

from app.pb.thanos import PartialResponseStrategy
from app.sidecar.converting import rule_groups


def test_groups_of_prometheus_are_none_that_may_be_partial() -> None:
    data = {"groups": [{"name": "g", "file": "f", "interval": 60, "rules": []}]}
    (group,) = rule_groups(msgspec.json.encode({"status": "success", "data": data}), ())
    assert (group.name, group.file, group.interval) == ("g", "f", 60)
    assert group.partial_response_strategy is PartialResponseStrategy.ABORT
