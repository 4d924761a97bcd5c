"""deploy/kubernetes: rendered by kustomize, held against schemas, and whether the parts fit each other."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml

from app.config.endpoints_file import load_endpoints_config
from tests.harness.programs import ROOT, flags_of, output_of

KUBERNETES = ROOT / "deploy/kubernetes"
SCHEMAS = Path(__file__).parent / "schemas"
OVERLAYS = ("base", "overlays/cert-manager", "overlays/realm")
VERSIONS = ("1.30.0", "1.37.0")
"""Of Kubernetes: the first that knows all fields, and the last that the validator knows."""

Object = Mapping[str, Any]


@cache
def rendered(overlay: str) -> list[Object]:
    return list(yaml.safe_load_all(output_of("kubectl", "kustomize", KUBERNETES / overlay)))


def of_kind(overlay: str, kind: str) -> list[Object]:
    return [each for each in rendered(overlay) if each["kind"] == kind]


def workloads(overlay: str) -> list[Object]:
    return of_kind(overlay, "Deployment") + of_kind(overlay, "StatefulSet")


def containers(overlay: str) -> Iterator[tuple[Object, Object]]:
    """Each container with the spec of its pod."""
    for workload in workloads(overlay):
        pod = workload["spec"]["template"]["spec"]
        for container in pod["containers"]:
            yield pod, container


def ours(overlay: str) -> list[tuple[Object, Object]]:
    return [each for each in containers(overlay) if each[1]["image"].startswith("crossrealm")]


def matches(selector: Object, labels: Object) -> bool:
    return bool(selector["matchLabels"]) and selector["matchLabels"].items() <= labels.items()


def material(overlay: str) -> dict[tuple[str, str], set[str]]:
    """Files of what is mounted, by the key of the volume and the name of its source."""
    found: dict[tuple[str, str], set[str]] = {}
    for each in of_kind(overlay, "Certificate"):
        found["secret", each["spec"]["secretName"]] = {"tls.crt", "tls.key", "ca.crt"}
    for each in of_kind(overlay, "Bundle"):
        found["configMap", each["metadata"]["name"]] = {each["spec"]["target"]["configMap"]["key"]}
    for each in of_kind(overlay, "ConfigMap"):
        found["configMap", each["metadata"]["name"]] = set(each["data"])
    return found


def is_there(overlay: str, pod: Object, container: Object, path: str) -> bool:
    """Whether `path` is a file that a volume brings."""
    folder, name = str(PurePosixPath(path).parent), PurePosixPath(path).name
    mounted = [each["name"] for each in container["volumeMounts"] if each["mountPath"] == folder]
    volumes = [each for each in pod["volumes"] if each["name"] in mounted]
    files = material(overlay)
    for volume in volumes:
        if "secret" in volume:
            return name in files.get(("secret", volume["secret"]["secretName"]), ())
        return name in files.get(("configMap", volume["configMap"]["name"]), ())
    return False


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("version", VERSIONS)
def test_schemas_are_kept(overlay: str, version: str, tmp_path: Path) -> None:
    known = [each for each in rendered(overlay) if each["kind"] not in ("Certificate", "Bundle")]
    path = tmp_path / "objects.yaml"
    path.write_text(yaml.safe_dump_all(known))
    said = output_of("kubernetes-validate", "--strict", "--kubernetes-version", version, path)
    assert said.count(" passed for resource ") == len(known), said


@pytest.mark.parametrize("overlay", ["overlays/cert-manager", "overlays/realm"])
@pytest.mark.parametrize("kind", ["Certificate", "Bundle"])
def test_schemas_of_cert_manager_and_trust_manager_are_kept(overlay: str, kind: str, tmp_path: Path) -> None:
    paths = []
    for each in of_kind(overlay, kind):
        paths.append(tmp_path / f"{each['metadata']['name']}.yaml")
        paths[-1].write_text(yaml.safe_dump(each))
    assert paths
    output_of("check-jsonschema", "--schemafile", SCHEMAS / f"{kind.lower()}.json", *paths)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_pods_are_as_restricted_as_the_standard_wants(overlay: str) -> None:
    """Pod Security Standards, restricted; and a root that is read only, and no token."""
    for pod, container in containers(overlay):
        assert pod["automountServiceAccountToken"] is False
        own, of_pod = container["securityContext"], pod["securityContext"]
        assert own["allowPrivilegeEscalation"] is False
        assert own["capabilities"] == {"drop": ["ALL"]}
        assert own["readOnlyRootFilesystem"] is True
        both = {**of_pod, **own}
        assert both["runAsNonRoot"] is True
        assert both["runAsUser"] > 0
        assert both["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        assert container["resources"]["requests"].keys() >= {"cpu", "memory"}
        assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_mounts_are_directories_and_have_volumes(overlay: str) -> None:
    for workload in workloads(overlay):
        pod = workload["spec"]["template"]["spec"]
        claims = workload["spec"].get("volumeClaimTemplates", ())
        volumes = {each["name"] for each in pod["volumes"]} | {each["metadata"]["name"] for each in claims}
        used = {mount["name"] for container in pod["containers"] for mount in container["volumeMounts"]}
        assert used == volumes
    for _, container in containers(overlay):
        assert not any({"subPath", "subPathExpr"} & mount.keys() for mount in container["volumeMounts"])
        paths = [mount["mountPath"] for mount in container["volumeMounts"]]
        assert len(set(paths)) == len(paths)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_commands_are_understood_and_find_their_files(overlay: str, tmp_path: Path) -> None:
    assert ours(overlay)
    for pod, container in ours(overlay):
        given = flags_of(container["args"])
        files = [str(value) for value in given.values() if str(value).startswith("/etc/")]
        for path in files:
            assert is_there(overlay, pod, container, path), path
        graces = given["grpc_grace_period"], given["http_grace_period"]
        assert pod["terminationGracePeriodSeconds"] > sum(each for each in graces if isinstance(each, float))
        ports = {port["containerPort"] for port in container["ports"]}
        assert ports == {
            int(str(given[name]).rpartition(":")[2]) for name in ("grpc_address", "http_address")
        }


@pytest.mark.parametrize("overlay", ["base", "overlays/cert-manager"])
def test_endpoints_find_their_certificates(overlay: str, tmp_path: Path) -> None:
    (config,) = of_kind(overlay, "ConfigMap")
    assert config["metadata"]["name"] == "crossrealm-endpoints"
    path = tmp_path / "endpoints.yaml"
    path.write_text(config["data"]["endpoints.yaml"])
    ((pod, container),) = ours(overlay)
    realms = [group for group in load_endpoints_config(path) if group.tls]
    assert len(realms) == (0 if overlay == "base" else 2)
    for group in realms:
        assert group.tls is not None
        for file in (group.tls.cert_file, group.tls.key_file, group.tls.ca_file):
            assert is_there(overlay, pod, container, file), file
        # Identity and trust are two sets, each replaced as a whole.
        assert PurePosixPath(group.tls.cert_file).parent != PurePosixPath(group.tls.ca_file).parent


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_probes_ask_for_health(overlay: str) -> None:
    for _, container in ours(overlay):
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        for name, path in (("startup", "healthy"), ("liveness", "healthy"), ("readiness", "ready")):
            get = container[f"{name}Probe"]["httpGet"]
            assert get["path"] == f"/-/{path}"
            assert ports[get["port"]] == 10902


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_what_selects_pods_finds_them(overlay: str) -> None:
    (workload,) = workloads(overlay)
    labels = workload["spec"]["template"]["metadata"]["labels"]
    names = {port["name"] for _, container in containers(overlay) for port in container["ports"]}
    assert matches(workload["spec"]["selector"], labels)
    services = of_kind(overlay, "Service")
    assert services
    for service in services:
        assert matches({"matchLabels": service["spec"]["selector"]}, labels)
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= names
        assert service["metadata"]["namespace"] == workload["metadata"]["namespace"]
    if overlay == "overlays/realm":
        assert workload["spec"]["serviceName"] in {each["metadata"]["name"] for each in services}
        return
    (budget,), (policy,) = of_kind(overlay, "PodDisruptionBudget"), of_kind(overlay, "NetworkPolicy")
    assert matches(budget["spec"]["selector"], labels)
    assert matches(policy["spec"]["podSelector"], labels)
    (autoscaler,) = of_kind(overlay, "HorizontalPodAutoscaler")
    target = autoscaler["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == (workload["kind"], workload["metadata"]["name"])
    assert "replicas" not in workload["spec"], "the autoscaler's would be overwritten"
    assert autoscaler["spec"]["minReplicas"] > budget["spec"]["maxUnavailable"]
    for spread in workload["spec"]["template"]["spec"]["topologySpreadConstraints"]:
        assert matches(spread["labelSelector"], labels)


@pytest.mark.parametrize("overlay", ["overlays/cert-manager", "overlays/realm"])
def test_certificates_are_used_and_renewed_in_time(overlay: str) -> None:
    volumes = [volume for pod, _ in ours(overlay) for volume in pod["volumes"]]
    secrets = {volume["secret"]["secretName"] for volume in volumes if "secret" in volume}
    certificates = of_kind(overlay, "Certificate")
    assert {each["spec"]["secretName"] for each in certificates} == secrets
    for each in certificates:
        spec = each["spec"]
        duration, before = (int(spec[key].removesuffix("h")) for key in ("duration", "renewBefore"))
        assert duration / 4 <= before <= duration / 2
        assert spec["privateKey"]["rotationPolicy"] == "Always"
    for volume in volumes:
        if "secret" in volume:
            assert volume["secret"]["defaultMode"] == 0o440


def test_a_realm_agrees_with_who_asks_it() -> None:
    """What the central querier pins is what the realm's sidecars are, and its CA is the one they let in."""
    central = yaml.safe_load(of_kind("overlays/cert-manager", "ConfigMap")[0]["data"]["endpoints.yaml"])
    (pinned,) = (group["tls_config"]["peer_identities"] for group in central if group["name"] == "eu")
    (sidecar,) = of_kind("overlays/realm", "Certificate")
    assert sidecar["spec"]["uris"] == pinned
    issuers = {each["spec"]["issuerRef"]["name"] for each in of_kind("overlays/cert-manager", "Certificate")}
    assert sidecar["spec"]["issuerRef"]["name"] in issuers
    (bundle,) = of_kind("overlays/realm", "Bundle")
    (source,) = bundle["spec"]["sources"]
    assert source["configMap"]["selector"]["matchLabels"] == {"crossrealm.dev/realm": "eu"}


def test_prometheus_of_a_realm_has_labels_of_its_own(tmp_path: Path) -> None:
    (config,) = of_kind("overlays/realm", "ConfigMap")
    path = tmp_path / "prometheus.yml"
    path.write_text(config["data"]["prometheus.yml"])
    output_of("promtool", "check", "config", path)
    labels = yaml.safe_load(path.read_text())["global"]["external_labels"]
    variables = re.findall(r"\$\{(\w+)\}", labels["replica"])
    (prometheus,) = (each for _, each in containers("overlays/realm") if each["name"] == "prometheus")
    assert variables == [each["name"] for each in prometheus["env"]]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_image_is_that_of_this_version(overlay: str) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert {container["image"] for _, container in ours(overlay)} == {f"crossrealm:{version}"}
