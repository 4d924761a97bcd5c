"""The HTTP paths, through the ASGI application."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import cast

import httpx
import pytest
from prometheus_client import CollectorRegistry

from app.endpoints.model import Api, EndpointChannel, EndpointInfo, EndpointView, Snapshot, State
from app.rpc.model import ChannelStatus, PeerTls
from app.tls.model import CertificateInfo, ProviderStatus, Role, SetStatus
from app.web.auth import BasicAuth
from app.web.site import make_site
from app.web.stores import stores_route

pytestmark = pytest.mark.anyio

LEAF = CertificateInfo(
    subject="CN=sidecar",
    issuer="CN=eu CA",
    serial="2a",
    sans=("URI:spiffe://eu.example/sidecar",),
    not_before=0.0,
    not_after=1_800_000_000.0,
    fingerprint="f",
)


class FakeChannel:
    def __init__(self, tls: PeerTls | None) -> None:
        self._tls = tls

    def status(self) -> ChannelStatus:
        return ChannelStatus(
            address="a:1",
            connected_at=1.0 if self._tls else None,
            tls=self._tls,
            handshakes=3,
            calls=5,
            failures=1,
            last_error="" if self._tls else "cannot connect",
            identity_refused="",
        )


def view(group: str, address: str, *, info: EndpointInfo | None, tls: PeerTls | None) -> EndpointView:
    return EndpointView(
        group=group,
        address=address,
        channel=cast(EndpointChannel, FakeChannel(tls)),
        strict=False,
        state=State.HEALTHY if info else State.UNHEALTHY,
        info=info,
        since=1.0,
        last_check=1_700_000_000.0 if info else 0.0,
        last_error="" if info else "no route to host",
    )


class Source:
    is_ready = True

    def ready(self) -> tuple[bool, str]:
        return self.is_ready, "" if self.is_ready else "not all endpoints have been asked yet"

    def snapshot(self) -> Snapshot:
        info = EndpointInfo(
            component="sidecar",
            label_sets=((("realm", "eu"),),),
            min_time=10,
            max_time=20,
            apis=frozenset({Api.STORE}),
        )
        agreed = PeerTls(version="TLSv1.3", cipher="x", certificate=LEAF, local=LEAF, generation=7)
        return Snapshot(
            (
                view("eu", "a:1", info=info, tls=agreed),
                view("eu", "b:1", info=None, tls=None),
                view("local", "c:1", info=info, tls=None),
            )
        )

    def tls_status(self) -> Sequence[ProviderStatus]:
        refused = SetStatus(
            loaded_at=1.0, refused_reason="torn", refused_message="/etc/secret/tls.crt is torn"
        )
        return [
            ProviderStatus(
                group="eu",
                role=Role.CLIENT,
                generation=7,
                identity=refused,
                trust=SetStatus(loaded_at=1.0),
                leaf=LEAF,
                authorities=(LEAF,),
                crl_next_update=None,
            )
        ]


@asynccontextmanager
async def client(
    *, hide_tls: bool = False, users: dict[str, str] | None = None, source: Source | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    shown = source or Source()
    site = make_site(
        shown.ready,
        CollectorRegistry(),
        index="paths",
        routes=[stores_route(shown.snapshot, shown.tls_status, hide_tls=hide_tls)],
        headers=lambda: {"x-added": "yes"},
    )
    app = BasicAuth(site, lambda: users or {})
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as made:
        yield made


async def test_probes() -> None:
    source = Source()
    async with client(source=source) as http:
        assert (await http.get("/-/healthy")).status_code == 200
        assert (await http.get("/-/ready")).status_code == 200
        assert (await http.head("/-/ready")).status_code == 200
        source.is_ready = False
        answer = await http.get("/-/ready")
        assert (answer.status_code, answer.text) == (503, "not ready: not all endpoints have been asked yet")
        assert (await http.get("/-/healthy")).status_code == 200


async def test_stores_have_thanos_shape_and_their_certificates() -> None:
    async with client() as http:
        answer = await http.get("/api/v1/stores", headers={"origin": "http://elsewhere"})
    assert "access-control-allow-origin" not in answer.headers
    body = answer.json()
    assert body["status"] == "success"
    assert set(body["data"]) == {"sidecar", "unknown"}
    healthy, local = body["data"]["sidecar"]
    assert healthy["name"] == "a:1"
    assert healthy["lastError"] is None
    assert healthy["lastCheck"] == "2023-11-14T22:13:20Z"
    assert healthy["labelSets"] == [{"realm": "eu"}]
    assert (healthy["minTime"], healthy["maxTime"]) == (10, 20)
    tls = healthy["tls"]
    assert (tls["group"], tls["generation"], tls["version"], tls["serial"]) == ("eu", 7, "TLSv1.3", "2a")
    assert tls["sans"] == ["URI:spiffe://eu.example/sidecar"]
    assert tls["notAfter"] == "2027-01-15T08:00:00Z"
    assert tls["lastError"] == "certificate material refused: torn"
    assert local["tls"] is None
    (down,) = body["data"]["unknown"]
    assert down["lastError"] == "no route to host"
    assert "cannot connect" in down["tls"]["lastError"]
    assert down["connection"]["ageSeconds"] is None
    assert "/etc/secret" not in answer.text


async def test_certificates_can_be_hidden() -> None:
    async with client(hide_tls=True) as http:
        body = (await http.get("/api/v1/stores")).json()
    assert all("tls" not in store for stores in body["data"].values() for store in stores)


async def test_metrics_in_both_formats_and_requests_are_counted() -> None:
    async with client() as http:
        await http.get("/-/healthy")
        await http.get("/nowhere")
        text = await http.get("/metrics")
        openmetrics = await http.get("/metrics", headers={"accept": "application/openmetrics-text"})
    assert text.headers["content-type"].startswith("text/plain")
    assert 'http_requests_total{code="200",handler="/-/healthy",method="get"} 1.0' in text.text
    assert 'http_requests_total{code="404",handler="other",method="get"} 1.0' in text.text
    assert openmetrics.text.endswith("# EOF\n")
    assert text.headers["x-added"] == "yes"


async def test_basic_auth() -> None:
    import bcrypt

    users = {"prometheus": bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()}
    async with client(users=users) as http:
        assert (await http.get("/metrics")).status_code == 401
        assert (await http.get("/metrics", auth=("prometheus", "wrong"))).status_code == 401
        assert (await http.get("/metrics", auth=("nobody", "secret"))).status_code == 401
        for _ in range(2):  # the second is answered from the cache
            assert (await http.get("/metrics", auth=("prometheus", "secret"))).status_code == 200
        assert (await http.get("/metrics", headers={"authorization": "Basic ???"})).status_code == 401
