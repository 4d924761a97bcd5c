"""`/api/v1/stores`: the endpoints in Thanos's shape, with what their certificates say."""

import time
from collections.abc import Callable, Iterable, Sequence

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.endpoints.model import EndpointView, Labels, Snapshot
from app.fanout.tsdb_selector import EVERY_TSDB, TsdbSelector
from app.rpc.model import ChannelStatus
from app.tls.certificates import instant
from app.tls.model import CertificateInfo, ProviderStatus, Role

# As Thanos names its components; anything else is "unknown".
COMPONENTS = ("sidecar", "store", "rule", "receive", "query", "debug")


class Certificate(msgspec.Struct, frozen=True, rename="camel"):
    """A leaf: whose, and until when."""

    subject: str
    issuer: str
    serial: str
    sans: tuple[str, ...]
    not_after: str


class Tls(msgspec.Struct, frozen=True, rename="camel"):
    """TLS to one endpoint. `version`, `serial`, `sans` and `not_after` are the endpoint's; empty without a
    connection. `client` is what we show it."""

    group: str
    generation: int
    version: str
    cipher: str
    serial: str
    sans: tuple[str, ...]
    not_after: str | None
    subject: str
    client: Certificate | None
    last_error: str | None
    identity_refused: str | None


class Connection(msgspec.Struct, frozen=True, rename="camel"):
    """Counted since the channel was made. `age_seconds` is null without a connection."""

    age_seconds: float | None
    handshakes: int
    calls: int
    failures: int


class Store(msgspec.Struct, frozen=True, rename="camel"):
    """One endpoint. Times are milliseconds since the epoch, `last_check` is RFC 3339."""

    name: str
    last_check: str
    last_error: str | None
    label_sets: list[dict[str, str]]
    min_time: int
    max_time: int
    group: str
    state: str
    strict: bool
    connection: Connection
    tls: Tls | msgspec.UnsetType | None = msgspec.UNSET


def stores_route(
    snapshot: Callable[[], Snapshot],
    tls_status: Callable[[], Sequence[ProviderStatus]],
    *,
    hide_tls: bool,
    prefix: str = "",
    tsdb_selector: TsdbSelector = EVERY_TSDB,
) -> Route:
    """The path.

    :param prefix: that it is under.
    :param hide_tls: leave the `tls` objects out.
    """

    async def answer(_: Request) -> Response:
        found = stores(snapshot().endpoints, tls_status(), hide_tls=hide_tls, tsdb_selector=tsdb_selector)
        content = msgspec.json.encode({"status": "success", "data": found})
        return Response(content, headers={"content-type": "application/json", "cache-control": "no-store"})

    return Route(prefix + "/api/v1/stores", answer)


def stores(
    views: Iterable[EndpointView],
    providers: Iterable[ProviderStatus],
    *,
    hide_tls: bool,
    tsdb_selector: TsdbSelector = EVERY_TSDB,
) -> dict[str, list[Store]]:
    """Endpoints by component, in their order.

    :param tsdb_selector: endpoints that it leaves out are not listed, nor are label sets.
    """
    by_group = {status.group: status for status in providers if status.role is Role.CLIENT}
    now = time.time()
    found: dict[str, list[Store]] = {}
    for view in views:
        label_sets = tsdb_selector.kept(view.info.label_sets) if view.info else ()
        if label_sets is None:
            continue
        component = view.info.component if view.info else ""
        channel = view.channel.status()
        tls: Tls | msgspec.UnsetType | None = msgspec.UNSET
        if not hide_tls:
            tls = _tls(view, channel, by_group.get(view.group))
        key = component if component in COMPONENTS else "unknown"
        found.setdefault(key, []).append(
            Store(
                name=view.address,
                last_check=instant(view.last_check) if view.last_check else "0001-01-01T00:00:00Z",
                last_error=view.last_error or None,
                label_sets=[_labels(labels) for labels in label_sets],
                min_time=view.info.min_time if view.info else 0,
                max_time=view.info.max_time if view.info else 0,
                group=view.group,
                state=str(view.state),
                strict=view.strict,
                connection=Connection(
                    age_seconds=None
                    if channel.connected_at is None
                    else round(now - channel.connected_at, 3),
                    handshakes=channel.handshakes,
                    calls=channel.calls,
                    failures=channel.failures,
                ),
                tls=tls,
            )
        )
    return found


def _labels(labels: Labels) -> dict[str, str]:
    return dict(labels)


def _tls(view: EndpointView, channel: ChannelStatus, provider: ProviderStatus | None) -> Tls | None:
    if provider is None:
        return None
    refused = [each for each in (provider.identity, provider.trust) if each.refused_reason]
    # Reasons, not messages: those name files.
    errors = [f"certificate material refused: {each.refused_reason}" for each in refused]
    if channel.last_error:
        errors.append(channel.last_error)
    agreed = channel.tls
    peer = agreed.certificate if agreed else None
    return Tls(
        group=view.group,
        generation=agreed.generation if agreed else provider.generation,
        version=agreed.version if agreed else "",
        cipher=agreed.cipher if agreed else "",
        serial=peer.serial if peer else "",
        sans=peer.sans if peer else (),
        not_after=instant(peer.not_after) if peer else None,
        subject=peer.subject if peer else "",
        client=_certificate((agreed.local if agreed else None) or provider.leaf),
        last_error="; ".join(errors) or None,
        identity_refused=channel.identity_refused or None,
    )


def _certificate(info: CertificateInfo | None) -> Certificate | None:
    if info is None:
        return None
    return Certificate(info.subject, info.issuer, info.serial, info.sans, instant(info.not_after))
