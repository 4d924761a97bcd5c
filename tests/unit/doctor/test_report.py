"""What the doctor shows, at the widths that terminals have, and what it warns of."""

import io
import json

import pytest
from rich.console import Console

from app.config.model import EndpointGroup, TlsConfig
from app.doctor.advice import advice, warnings_of
from app.doctor.model import Diagnosis, Handshake, InfoResult, Link
from app.doctor.report import as_json, show
from app.tls.model import CertificateInfo

CERTIFICATE = CertificateInfo(
    subject="CN=sidecar", issuer="CN=eu CA", serial="2a", sans=("DNS:sidecar.eu",), not_before=0.0,
    not_after=1_800_000_000.0, fingerprint="f",
)  # fmt: skip
WELL = Diagnosis(
    group="eu",
    address="sidecar.eu:10901",
    resolved=("10.0.0.7",),
    tcp_milliseconds=1.5,
    wanted="sidecar.eu",
    handshake=Handshake(
        version="TLSv1.3",
        cipher="TLS_AES_256_GCM_SHA384",
        chain=(Link.of("leaf", CERTIFICATE),),
        identity=CERTIFICATE.sans,
        offered="CN=querier",
        milliseconds=4.0,
    ),
    info=InfoResult(component="sidecar", label_sets=({"realm": "eu"},), apis=("store",), milliseconds=2.0),
)
ILL = Diagnosis(
    group="us",
    address="10.0.0.8:10901",
    failed_at="connect",
    reason="connect",
    error="cannot connect: connection refused",
    advice="see whether it runs",
    warnings=("plaintext: anybody",),
)


def shown(width: int, *found: Diagnosis) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    show(found, console)
    return console.export_text()


@pytest.mark.parametrize("width", [40, 80, 120])
def test_everything_is_there_at_any_width(width: int) -> None:
    text = shown(width, WELL, ILL)
    together = text.replace("\n", "").replace(" ", "")
    for says in ("sidecar.eu:10901", "TLSv1.3", "connectfailed", "10.0.0.7", "DNS:sidecar.eu", "realm=eu"):
        assert says in together, text
    assert "us 10.0.0.8:10901: cannot connect: connection refused" in text
    assert "  -> see whether it runs" in text
    assert "warning: us 10.0.0.8:10901: plaintext: anybody" in text
    assert "2 endpoints, 1 not well" in text


def test_all_well_is_said() -> None:
    assert "1 endpoint, all well" in shown(120, WELL)


def test_json_has_it_all() -> None:
    found = json.loads(as_json([WELL, ILL]))
    assert found["well"] is False
    assert [each["reason"] for each in found["endpoints"]] == ["", "connect"]
    assert found["endpoints"][0]["handshake"]["chain"][0]["not_after"] == "2027-01-15T08:00:00Z"


@pytest.mark.parametrize(
    ("left", "says"), [(86_400 * 30, ""), (86_400 * 13, "less than 14 days"), (3600, "less than a day")]
)
def test_certificates_that_end_soon(left: float, says: str) -> None:
    group = EndpointGroup(name="eu", tls=TlsConfig(ca_file="ca.crt"))
    found = warnings_of(group, [("leaf", CERTIFICATE)], CERTIFICATE.not_after - left)
    assert ("".join(found) == "") is (says == "")
    assert says in "".join(found)


def test_what_is_not_safe_is_said() -> None:
    (plaintext,) = warnings_of(EndpointGroup(name="local"), [], 0)
    assert "everybody on the way" in plaintext
    (unverified,) = warnings_of(EndpointGroup(name="x", tls=TlsConfig(insecure_skip_verify=True)), [], 0)
    assert "may be anybody" in unverified


def test_advice_names_the_file() -> None:
    group = EndpointGroup(name="eu", tls=TlsConfig(ca_file="/tls/ca.crt", cert_file="/tls/tls.crt"))
    assert "/tls/ca.crt" in advice("unknown_ca", group)
    assert "/tls/tls.crt" in advice("refused_unknown_ca", group)
    assert "set cert_file" in advice("connection_closed", EndpointGroup(name="x", tls=TlsConfig(ca_file="c")))
    assert advice("never heard of", group)
