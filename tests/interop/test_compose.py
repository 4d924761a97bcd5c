"""docker-compose.yml: the compose specification's schema, and whether its parts fit each other."""

import json
import re
import runpy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509

from app.config.endpoints_file import load_endpoints_config
from tests.harness.programs import ROOT, flags_of, output_of

FILE = ROOT / "docker-compose.yml"
SERVICES: Mapping[str, Any] = yaml.safe_load(FILE.read_text())["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("crossrealm")}
PROMETHEUS = [name for name in SERVICES if name.endswith("prometheus") or "-prometheus-" in name]
GRAFANA = ROOT / "deploy/compose/grafana"
DASHBOARDS = sorted((GRAFANA / "dashboards").glob("*.json"))


def mounts(service: str) -> dict[str, Path]:
    """What of the host a service sees: path inside, path here."""
    volumes = [each for each in SERVICES[service].get("volumes", ()) if isinstance(each, dict)]
    assert all(each["type"] == "bind" and each["read_only"] for each in volumes)
    assert not any(each["bind"]["create_host_path"] for each in volumes)
    return {each["target"]: ROOT / each["source"] for each in volumes}


def on_host(service: str, path: str) -> Path:
    """The file here that is `path` in the service."""
    found = [here / Path(path).relative_to(inside) for inside, here in mounts(service).items()
             if Path(path).is_relative_to(inside)]  # fmt: skip
    assert len(found) == 1, f"{service} does not see {path}"
    return found[0]


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the script makes, elsewhere."""
    out = tmp_path_factory.mktemp("pki")
    assert runpy.run_path(str(ROOT / "certs/dev/make_pki.py"))["main"]([str(out)]) == 0
    return out


def names_of(certificate: Path) -> set[str]:
    read = x509.load_pem_x509_certificate(certificate.read_bytes())
    found = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {
        *found.get_values_for_type(x509.DNSName),
        *found.get_values_for_type(x509.UniformResourceIdentifier),
    }


def made(pki: Path, path: Path) -> Path:
    """`path` below certs/dev/out, in the PKI that the test made."""
    return pki / path.relative_to(ROOT / "certs/dev/out")


def test_the_schema_is_kept() -> None:
    output_of("check-jsonschema", "--builtin-schema", "vendor.compose-spec", FILE)


@pytest.mark.parametrize("name", SERVICES)
def test_nothing_runs_with_more_than_it_needs(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert re.fullmatch(r"[1-9]\d*:\d+", service["user"])
    assert not {"privileged", "cap_add", "network_mode", "pid"} & service.keys()
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
    assert re.search(r":v?\d", service["image"]) or service["image"] == "crossrealm:local"


@pytest.mark.parametrize("name", [*OURS, *PROMETHEUS])
def test_health_is_asked(name: str) -> None:
    assert "/-/healthy" in " ".join(SERVICES[name]["healthcheck"]["test"])


@pytest.mark.parametrize("name", SERVICES)
def test_who_is_waited_for_is_in_reach(name: str) -> None:
    service = SERVICES[name]
    for other, how in service.get("depends_on", {}).items():
        assert how["condition"] == "service_healthy"
        assert set(service["networks"]) & set(SERVICES[other]["networks"])


@pytest.mark.parametrize("name", OURS)
def test_commands_are_understood_and_find_their_files(name: str, pki: Path) -> None:
    given = flags_of(OURS[name]["command"])
    files = {key: str(value) for key, value in given.items() if str(value).startswith("/certs/")}
    assert bool(files) is (name != "local-sidecar")
    for key in files:
        assert made(pki, on_host(name, files[key])).is_file(), f"{name} {key}"
    if OURS[name]["command"][0] == "sidecar":
        host = re.fullmatch(r"http://([a-z-]+):9090", str(given["prometheus_url"]))
        assert host and host[1] in PROMETHEUS
        assert set(OURS[name]["networks"]) & set(SERVICES[host[1]]["networks"])


def test_the_querier_can_reach_and_verify_its_endpoints(pki: Path) -> None:
    groups = load_endpoints_config(on_host("querier", "/etc/crossrealm/endpoints.yaml"))
    asked = [address for group in groups for address in group.endpoints]
    assert sorted(asked) == sorted(f"{name}:10901" for name in OURS if name != "querier")
    for group in groups:
        if group.tls is None:
            continue
        for path in (group.tls.cert_file, group.tls.key_file, group.tls.ca_file):
            assert made(pki, on_host("querier", path)).is_file()
        ca = made(pki, on_host("querier", group.tls.ca_file)).read_bytes()
        for address in group.endpoints:
            name = address.rpartition(":")[0]
            assert set(SERVICES[name]["networks"]) & set(SERVICES["querier"]["networks"])
            leaf = made(pki, on_host(name, str(flags_of(OURS[name]["command"])["grpc_server_tls_cert"])))
            assert names_of(leaf) & ({*group.tls.peer_identities} or {name})
            assert leaf.with_name("ca.crt").read_bytes() == ca


def test_realms_do_not_see_each_other() -> None:
    networks = {name: set(service["networks"]) for name, service in SERVICES.items()}
    assert networks.pop("querier") == {"eu", "us", "central"}
    assert all(len(each) == 1 for each in networks.values())
    assert all(networks[name] == {name.split("-")[0]} for name in networks if name.startswith(("eu-", "us-")))


@pytest.mark.parametrize("name", PROMETHEUS)
def test_prometheus_takes_its_configuration(name: str) -> None:
    path = on_host(name, "/etc/prometheus/prometheus.yml")
    output_of("promtool", "check", "config", path)
    config = yaml.safe_load(path.read_text())
    assert config["global"]["external_labels"]["realm"] == name.split("-")[0]
    for job in config["scrape_configs"]:
        for target in job["static_configs"][0]["targets"]:
            host, _, port = target.partition(":")
            assert set(SERVICES[host]["networks"]) & set(SERVICES[name]["networks"]), target
            assert port == {"querier": "10902", "grafana": "3000"}.get(
                host, "10902" if "sidecar" in host else "9090"
            )


def test_the_pair_differs_in_its_replica_label_only() -> None:
    paths = [on_host(f"eu-prometheus-{each}", "/etc/prometheus/prometheus.yml") for each in "ab"]
    one, other = (yaml.safe_load(path.read_text()) for path in paths)
    assert one["global"]["external_labels"].pop("replica") == "a"
    assert other["global"]["external_labels"].pop("replica") == "b"
    assert one == other


def test_grafana_asks_the_querier_as_it_asks_thanos() -> None:
    provisioned = yaml.safe_load((GRAFANA / "provisioning/datasources/crossrealm.yaml").read_text())
    sources = {each["uid"]: each for each in provisioned["datasources"]}
    first = sources["crossrealm"]
    assert (first["type"], first["isDefault"]) == ("prometheus", True)
    assert first["jsonData"] | {"prometheusType": "Thanos", "httpMethod": "POST"} == first["jsonData"]
    for source in sources.values():
        host = re.fullmatch(r"http://([a-z-]+):\d+", source["url"])
        assert host and set(SERVICES[host[1]]["networks"]) & set(SERVICES["grafana"]["networks"])


def test_grafana_finds_its_dashboards() -> None:
    provisioned = yaml.safe_load((GRAFANA / "provisioning/dashboards/crossrealm.yaml").read_text())
    own, mixin = (each["options"]["path"] for each in provisioned["providers"])
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home.startswith(f"{own}/")
    assert on_host("grafana", f"{mixin}/crossrealm.json").exists()
    assert on_host("grafana", home) in DASHBOARDS


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_dashboards_ask_what_there_is(path: Path, tmp_path: Path) -> None:
    provisioned = yaml.safe_load((GRAFANA / "provisioning/datasources/crossrealm.yaml").read_text())
    known = {each["uid"] for each in provisioned["datasources"]}
    panels = json.loads(path.read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    targets = [target for panel in panels for target in panel.get("targets", ())]
    assert targets
    assert {target["datasource"]["uid"] for target in targets} <= known
    expressions = [target["expr"] for target in targets]
    rules = [{"record": f"panel:{number}", "expr": expr} for number, expr in enumerate(expressions)]
    checked = tmp_path / "rules.yml"
    checked.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    output_of("promtool", "check", "rules", checked)
    code = "".join(each.read_text() for each in (ROOT / "app").rglob("*.py"))
    for name in set(re.findall(r"crossrealm_\w+", " ".join(expressions))):
        assert f'"{re.sub(r"_(bucket|sum|count)$", "", name)}"' in code, name
