"""`crossrealm doctor` reaches endpoints as the querier would, and says what to do about each fault."""

import asyncio
import contextlib
import json
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
import yaml

from app.demo.processes import free_address
from tests.harness import Authority, Realm, store
from tests.pki import CA

pytestmark = pytest.mark.anyio


async def doctor(path: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "app", "doctor", f"--endpoints.config={path}", "--timeout=3s", *flags]

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    return await anyio.to_thread.run_sync(run)


@asynccontextmanager
async def talker(greeting: bytes, context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A port where something is said that is no HTTP/2, with TLS or without."""

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        with contextlib.suppress(ConnectionError):
            await reader.read(1 << 16)
        writer.close()

    server = await asyncio.start_server(say, "127.0.0.1", 0, ssl=context)
    try:
        host, port = server.sockets[0].getsockname()[:2]
        yield f"{host}:{port}"
    finally:
        server.close()


def group(name: str, address: str, tls: dict[str, Any] | None) -> dict[str, Any]:
    return {"name": name, "endpoints": [address], **({"tls_config": tls} if tls is not None else {})}


async def test_all_well(tmp_path: Path) -> None:
    realm = Realm("eu", tmp_path / "eu", Authority("eu CA"), lifetime=30 * 86_400.0)
    async with store(tmp_path, realm) as secure, store(tmp_path, "local") as plain:
        path = tmp_path / "endpoints.yaml"
        path.write_text(
            yaml.safe_dump(
                [group("eu", secure.address, realm.tls_config()), group("local", plain.address, None)]
            )
        )
        done = await doctor(path)
        assert (done.returncode, done.stderr) == (0, "")
        for says in ("TLSv1.3", "URI:spiffe://eu.example/store/a", "anchor", "2 endpoints, all well"):
            assert says in done.stdout, done.stdout
        assert "plaintext: everybody on the way" in done.stdout.replace("\n", " ")
        found = json.loads((await doctor(path, "--json")).stdout)
    assert found["well"] is True
    eu, local = found["endpoints"]
    assert [link["role"] for link in eu["handshake"]["chain"]] == ["leaf", "anchor"]
    assert eu["info"]["component"] == "store"
    assert eu["wanted"] == "127.0.0.1"
    assert (local["handshake"], local["resolved"]) == (None, ["127.0.0.1"])


async def test_each_fault_has_its_advice(tmp_path: Path) -> None:
    eu = Realm("eu", tmp_path / "eu", Authority("eu CA"))
    other = Realm("other", tmp_path / "other", Authority("other CA"))
    late_ca = CA("late CA")
    late_tls = {"ca_file": str(tmp_path / "late.crt")}
    (tmp_path / "late.crt").write_bytes(late_ca.pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*late_ca.issue(not_after=time.time() - 60).write(tmp_path))
    tls = eu.tls_config()
    async with (
        store(tmp_path, eu) as one,
        store(tmp_path, "plain") as plain,
        talker(b"SSH-2.0-nothing\r\n") as stranger,
        talker(b"", context) as late,
    ):
        wrong_ca = {**tls, "ca_file": other.querier_trust.ca_file}
        items = [
            group("wrong ca", one.address, wrong_ca),
            group("wrong name", one.address, {**tls, "server_name": "store.example"}),
            group("wrong pin", one.address, {**tls, "peer_identities": ["spiffe://us.example/x"]}),
            group("no certificate", one.address, {"ca_file": tls["ca_file"]}),
            group("foreign certificate", one.address, {**other.tls_config(), "ca_file": tls["ca_file"]}),
            group("plaintext there", plain.address, tls),
            group("expired", late, late_tls),
            group("tls there", one.address, None),
            group("stranger", stranger, None),
            group("nobody", free_address(), tls),
            group("no file", free_address(), {**tls, "ca_file": str(tmp_path / "no.crt")}),
            group("no name", "nowhere.invalid:1", None),
        ]
        found: dict[str, dict[str, Any]] = {}
        limiter = anyio.CapacityLimiter(4)  # some of them wait for what does not come

        async def ask(number: int, item: dict[str, Any]) -> None:
            # One address in one file only once; each of them is a file of its own.
            path = tmp_path / f"endpoints-{number}.yaml"
            path.write_text(yaml.safe_dump([item]))
            async with limiter:
                done = await doctor(path, "--json")
            assert done.returncode == 1, (item, done)
            assert "Traceback" not in done.stderr
            (found[item["name"]],) = json.loads(done.stdout)["endpoints"]

        async with anyio.create_task_group() as tasks:
            for number, item in enumerate(items):
                tasks.start_soon(ask, number, item)
    wanted = {
        "wrong ca": ("handshake", "unknown_ca", "put the CA that signed"),
        "wrong name": ("handshake", "name_mismatch", "set server_name"),
        "wrong pin": ("handshake", "identity", "correct peer_identities"),
        "no certificate": ("handshake", "refused_no_certificate", "set cert_file and key_file"),
        "foreign certificate": ("handshake", "refused_unknown_ca", "our certificate is the cause"),
        "plaintext there": ("handshake", "not_tls", "leave tls_config out"),
        "expired": ("handshake", "expired", "renew the endpoint's certificate"),
        "tls there": ("handshake", "closed", "it speaks TLS"),
        "stranger": ("handshake", "closed", "it is no gRPC endpoint"),
        "nobody": ("connect", "connect", "see whether the endpoint runs"),
        "no file": ("material", "missing", "correct the file"),
        "no name": ("resolve", "resolve", "check the name"),
    }
    for name, (step, reason, advice) in wanted.items():
        each = found[name]
        assert (each["failed_at"], each["reason"]) == (step, reason), each
        assert advice in each["advice"], each
    assert other.querier_trust.ca_file in found["wrong ca"]["advice"]


async def test_a_bad_file_is_a_fault_of_the_configuration(tmp_path: Path) -> None:
    path = tmp_path / "endpoints.yaml"
    path.write_text("- endpoints: [a]\n")
    done = await doctor(path)
    assert done.returncode == 2
    assert "has no port" in done.stderr
