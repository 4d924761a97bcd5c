"""`endpoints.yaml`: what it means, and every fault of it, all at once."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.config.endpoints_file import load_endpoints_config
from app.config.model import EndpointGroup, Mode, TlsConfig
from app.errors import ConfigError


def load(tmp_path: Path, content: str | bytes) -> tuple[EndpointGroup, ...]:
    path = tmp_path / "endpoints.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return load_endpoints_config(path)


def faults(tmp_path: Path, content: str | bytes) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, content)
    return [str(problem).removeprefix(f"{tmp_path}/endpoints.yaml") for problem in caught.value.problems]


def test_the_proposals_item_with_everything_set(tmp_path: Path) -> None:
    groups = load(
        tmp_path,
        """
- tls_config:
    cert_file: "c"
    key_file: "k"
    ca_file: "a"
    server_name: "s"
  endpoints: ["a:1", "b:2"]
  endpoints_sd_files:
    - files: ["x.yaml", "y/*.json"]
    - files: []
  mode: "strict"
""",
    )
    assert groups == (
        EndpointGroup(
            name="group-1",
            tls=TlsConfig(cert_file="c", key_file="k", ca_file="a", server_name="s"),
            endpoints=("a:1", "b:2"),
            sd_files=("x.yaml", "y/*.json"),
            mode=Mode.STRICT,
        ),
    )


def test_the_added_keys(tmp_path: Path) -> None:
    (group,) = load(
        tmp_path,
        """
- name: eu
  tls_config:
    ca_file: a
    crl_file: r
    min_version: "1.2"
    peer_identities: ["spiffe://eu.example/sidecar", "sidecar.eu.example"]
  endpoints: ["a:1"]
""",
    )
    assert group.name == "eu"
    assert group.tls == TlsConfig(
        ca_file="a",
        crl_file="r",
        min_version="1.2",
        peer_identities=("spiffe://eu.example/sidecar", "sidecar.eu.example"),
    )


def test_no_tls_config_is_plaintext_and_any_key_in_it_is_tls(tmp_path: Path) -> None:
    plain, skip, version = load(
        tmp_path,
        """
- endpoints: ["a:1"]
- tls_config: {insecure_skip_verify: true, cert_file: ""}
  endpoints: ["b:1"]
- tls_config: {min_version: 1.2}
  endpoints: ["c:1"]
""",
    )
    assert plain.tls is None
    assert skip.tls == TlsConfig(insecure_skip_verify=True)
    assert version.tls == TlsConfig(min_version="1.2")


@pytest.mark.parametrize(
    "tls",
    ["", "{}", '{cert_file: "", ca_file: ""}', "{insecure_skip_verify: false}", "{peer_identities: []}"],
)
def test_a_tls_config_that_sets_nothing_never_means_plaintext(tmp_path: Path, tls: str) -> None:
    (fault,) = faults(tmp_path, f'- tls_config: {tls}\n  endpoints: ["a:1"]\n')
    assert fault.startswith(":1: item 1: tls_config: it sets nothing")
    assert "leave the key out for plaintext" in fault
    assert "set one of its keys" in fault


@pytest.mark.parametrize(
    ("item", "says"),
    [
        ("endpointz: [a:1]", "endpointz: unknown key (did you mean endpoints?)"),
        ("tls_config: {certfile: x}\n  endpoints: [a:1]", "tls_config.certfile: unknown key (did you mean"),
        ("endpoints: a:1", "endpoints: a list is wanted"),
        ("endpoints: [1]", "endpoints: a text is wanted, not a number"),
        ("endpoints: ['http://a:1']", "has a scheme"),
        ("endpoints: [a:1]\n  mode: strickt", "mode: 'strickt' is not a mode"),
        ("endpoints: [a:1]\n  name: 3", "name: a text is wanted"),
        ("tls_config: {cert_file: c}\n  endpoints: [a:1]", "tls_config.key_file: missing beside cert_file"),
        ("tls_config: {key_file: c}\n  endpoints: [a:1]", "tls_config.cert_file: missing beside key_file"),
        ("tls_config: {ca_file: [x]}\n  endpoints: [a:1]", "tls_config.ca_file: a text is wanted"),
        ("tls_config: {min_version: '1.1'}\n  endpoints: [a:1]", "min_version: '1.1' is not a version"),
        ("tls_config: {insecure_skip_verify: 'yes'}\n  endpoints: [a:1]", "true or false is wanted"),
        ("tls_config: {crl_file: r}\n  endpoints: [a:1]", "crl_file: a CRL needs ca_file"),
        (
            "tls_config: {ca_file: a, peer_identities: ['x y']}\n  endpoints: [a:1]",
            "neither a SPIFFE URI nor",
        ),
        ("tls_config: {server_name: 'a:1'}\n  endpoints: [a:1]", "server_name: 'a:1' is not a host name"),
        ("endpoints_sd_files: [x]", "endpoints_sd_files[1]: a mapping is wanted"),
        ("endpoints_sd_files: [{file: [x]}]", "endpoints_sd_files[1].file: unknown key"),
        ("endpoints_sd_files: [{files: [x.txt]}]", "does not end in .json, .yml or .yaml"),
        ("name: x", "it has neither endpoints nor endpoints_sd_files"),
        ("endpoints: [a:1, a:1]", "a:1 is in item 1"),
        ("endpoints: ['[::1]:1', '[0:0::1]:01']", "[0:0::1]:01 is in item 1"),
        ("endpoints: [a.Example:1, A.example.:1]", "A.example.:1 is in item 1"),
        (
            "tls_config: {ca_file: a, peer_identities: ['']}\n  endpoints: [a:1]",
            "tls_config.peer_identities: an identity is empty",
        ),
    ],
)
def test_each_fault_names_item_and_key(tmp_path: Path, item: str, says: str) -> None:
    found = faults(tmp_path, f"- {item}\n")
    assert len([fault for fault in found if says in fault]) == 1, found
    assert all(": item 1" in fault.partition("(")[0] for fault in found)


@pytest.mark.parametrize("key", ["ca_file: x", "crl_file: x", "peer_identities: [a.example]"])
def test_skipping_verification_excludes_what_verifies(tmp_path: Path, key: str) -> None:
    found = faults(tmp_path, f"- tls_config: {{insecure_skip_verify: true, {key}}}\n  endpoints: [a:1]\n")
    assert any("insecure_skip_verify: it switches off what" in fault for fault in found)


def test_all_faults_come_at_once_each_with_its_line(tmp_path: Path) -> None:
    found = faults(
        tmp_path,
        """
- name: eu
  tls_config: {cert_file: c, certfile: x}
  endpoints:
    - a
    - "b:1"
- name: eu
  endpoints: ["b:1"]
  mode: x
- 3
- tls_config:
    ca_file: [x]
    peer_identities:
      - a.example
      - "x y"
""",
    )
    assert sorted(fault.partition(" (did")[0] for fault in found) == sorted(
        [
            ":3: item 1 (eu): tls_config.certfile: unknown key",
            ":3: item 1 (eu): tls_config.key_file: missing beside cert_file (set both or neither)",
            ":5: item 1 (eu): endpoints: 'a' has no port; write host:port",
            ":7: item 2 (eu): name: 'eu' is the name of item 1 too",
            ":8: item 2 (eu): endpoints: b:1 is in item 1 (eu) already",
            ':9: item 2 (eu): mode: \'x\' is not a mode (write "" or "strict")',
            ":10: item 3: a mapping is wanted, not a number",
            ":11: item 4: it has neither endpoints nor endpoints_sd_files",
            ":12: item 4: tls_config.ca_file: a text is wanted, not a list",
            ":15: item 4: tls_config.peer_identities: 'x y' is neither a SPIFFE URI nor a DNS name"
            " (write for example spiffe://eu.example/sidecar)",
        ]
    )


def test_merged_keys_are_no_keys_twice(tmp_path: Path) -> None:
    groups = load(
        tmp_path,
        """
- name: eu
  tls_config: &eu
    ca_file: a
    server_name: s
  endpoints: ["a:1"]
- name: us
  tls_config: &us
    <<: *eu
    server_name: t
  endpoints: ["b:1"]
- name: local
  tls_config:
    <<: *us
    ca_file: c
  endpoints: ["c:1"]
""",
    )
    assert [group.tls for group in groups] == [
        TlsConfig(ca_file="a", server_name="s"),
        TlsConfig(ca_file="a", server_name="t"),
        TlsConfig(ca_file="c", server_name="t"),
    ]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "the file is empty"),
        ("a: b", "a list of endpoint groups is wanted, not a mapping"),
        ("endpoints: []", "name the file with --endpoint.sd-config-file"),
        ("- [", "not valid YAML"),
        ("- name: a\n  name: b\n", "the key 'name' is there twice"),
        (b"\xff\xfe\xff", "not UTF-8"),
        ("- !!python/object:os.system x", "not valid YAML"),
    ],
)
def test_what_is_no_list_is_said(tmp_path: Path, content: str | bytes, says: str) -> None:
    (fault,) = faults(tmp_path, content)
    assert says in fault


def test_yaml_faults_have_line_and_column(tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, "- name: a\n  endpoints: [b\n")
    assert fault.startswith(":3:1: not valid YAML")


@pytest.mark.parametrize(
    "value",
    [
        '!!int ""',
        '!!float ""',
        "!!timestamp x",
        "!!bool x",
        "2001-99-99",
        "[" * 3000,
        "[" * 100_000 + "]" * 100_000,
    ],
    ids=lambda value: value[:20],
)
def test_values_that_break_the_yaml_library_are_faults_of_the_file(tmp_path: Path, value: str) -> None:
    assert faults(tmp_path, f"- name: {value}\n")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load_endpoints_config(tmp_path / "nowhere.yaml")


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "name",
                    "tls_config",
                    "endpoints",
                    "endpoints_sd_files",
                    "mode",
                    "cert_file",
                    "files",
                    "min_version",
                ]
            )
            | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(_values)
def test_anything_is_taken_or_refused_with_reasons(tmp_path: Path, document: Any) -> None:
    try:
        groups = load(tmp_path, yaml.safe_dump(document))
    except ConfigError as error:
        assert error.problems
        assert all(str(problem).startswith(str(tmp_path)) for problem in error.problems)
    else:
        assert all(isinstance(group, EndpointGroup) for group in groups)
