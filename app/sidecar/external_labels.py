"""External labels: read from Prometheus's running configuration, and matched against requests. Pure."""

from collections.abc import Sequence

import msgspec
import yaml

from app.endpoints.model import Labels
from app.fanout.selection import Selected, against_selector, compiled
from app.pb.thanos import LabelMatcher


class _Data(msgspec.Struct, frozen=True):
    yaml: str


class _Answer(msgspec.Struct, frozen=True):
    data: _Data


def parse_external_labels(body: bytes) -> Labels:
    """The external labels in an answer of ``/api/v1/status/config``, sorted by name; empty values are none.

    :raises ValueError: it is no such answer.
    """
    try:
        text = msgspec.json.decode(body, type=_Answer).data.yaml
        # Every scalar as the text it is: Prometheus reads labels as texts too.
        document = yaml.load(text, Loader=yaml.CBaseLoader)
    except (msgspec.DecodeError, yaml.YAMLError) as error:
        raise ValueError(f"its configuration cannot be read: {error}".replace("\n", " ")) from None
    section = document.get("global") if isinstance(document, dict) else None
    labels = (section or {}).get("external_labels") or {}
    if not isinstance(labels, dict):
        raise ValueError("its configuration cannot be read: external_labels is no mapping")
    return tuple(sorted((name, value) for name, value in labels.items() if value))


def narrowed(matchers: Sequence[LabelMatcher], external: Labels) -> list[LabelMatcher] | None:
    """The matchers that the external labels do not decide; None when these contradict one.

    :raises CallError: INVALID_ARGUMENT, a matcher is not valid.
    """
    selected: Selected = against_selector([compiled(matcher) for matcher in matchers], external)
    if not selected.matches:
        return None
    return [matchers[position] for position in selected.remaining]
