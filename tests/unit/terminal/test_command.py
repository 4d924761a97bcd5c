"""The command against a server that is made up."""

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import msgspec
import pytest
from click.testing import CliRunner, Result

from app.cli import cli
from tests.pki import CA
from tests.unit.terminal.answers import body

ANSWER = body("vector", [{"metric": {"__name__": "up"}, "value": [1, "1"]}])


class Server(msgspec.Struct):
    """Mutable: what was asked."""

    url: str
    asked: list[tuple[str, dict[str, list[str]], dict[str, str]]]


@contextmanager
def serving(status: int, answer: bytes, kind: str = "application/json") -> Iterator[Server]:
    found = Server("", [])

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            form = self.rfile.read(int(self.headers["content-length"])).decode()
            found.asked.append((self.path, parse_qs(form), dict(self.headers)))
            self.send_response(status)
            self.send_header("content-length", str(len(answer)))
            self.send_header("content-type", kind)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def logs_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command sets up the logs of its process, which here is that of all tests."""
    monkeypatch.setattr("app.terminal.main.logs.configure", lambda *_: None)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["promql", *arguments])


def test_an_instant_query() -> None:
    with serving(200, ANSWER) as server:
        result = run("up", f"--url={server.url}/", "--time=1.5", "--query.replica-label=r", "--timeout=5s")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "up\t1\n", "")
    ((path, form, headers),) = server.asked
    assert path == "/api/v1/query"
    assert form == {"query": ["up"], "time": ["1.500"], "timeout": ["5s"], "replicaLabels[]": ["r"]}
    assert headers["user-agent"] == "crossrealm-promql"


def test_a_range_under_a_prefix() -> None:
    with serving(200, body("matrix", [])) as server:
        result = run("up", f"--url={server.url}/thanos", "--start=10", "--end=20", "--step=5s")
    assert (result.exit_code, result.stdout) == (0, "")
    ((path, form, _),) = server.asked
    assert path == "/thanos/api/v1/query_range"
    assert (form["start"], form["end"], form["step"]) == (["10.000"], ["20.000"], ["5.000"])


def test_json_is_the_answer_as_it_is_and_warnings_go_elsewhere() -> None:
    answer = body("scalar", [1, "2"], warnings=["eu is missing"], infos=["PromQL info: odd (1:2)"])
    with serving(200, answer) as server:
        result = run("up", f"--url={server.url}", "--output=json")
    assert json.loads(result.stdout) == json.loads(answer)
    assert result.stderr.splitlines() == ["warning: eu is missing", "info: odd (1:2)", "  up", "   ^"]


@pytest.mark.parametrize(
    ("status", "answer", "says"),
    [
        (
            400,
            b'{"status":"error","errorType":"bad_data","error":"1:3: parse error: odd"}',
            "odd\n  up\n    ^",
        ),
        (502, b"<html>", "answered 502"),
        (404, b"", "answered 404 Not Found (--url is what stands before /api/v1)"),
        (401, b"Unauthorized", "credentials are in --http-client-file"),
        (200, b"<html>", "no answer of the Prometheus API"),
        (200, b'{"status":"error","error":"broken"}', "error: broken"),
        (200, b'{"status":"success"}', "no data"),
        (200, body("vector", [{"metric": 5}]), "no answer of the Prometheus API"),
    ],
)
def test_what_failed_is_said_with_exit_code_1(status: int, answer: bytes, says: str) -> None:
    with serving(status, answer) as server:
        result = run("up", f"--url={server.url}")
    assert (result.exit_code, result.stdout) == (1, "")
    assert says in result.stderr


@contextmanager
def listening(context: ssl.SSLContext | None, said: bytes = b"") -> Iterator[str]:
    """Whoever connects is told something that is no HTTP, with TLS or without; the address."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError), server.accept()[0] as plain, contextlib.ExitStack() as stack:
                secure = context and stack.enter_context(context.wrap_socket(plain, server_side=True))
                connection = secure or plain
                connection.sendall(said)
                connection.recv(1 << 16)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        thread.join(10)


def test_a_server_that_is_not_there_is_a_failure() -> None:
    result = run("up", "--url=http://127.0.0.1:1")
    assert result.exit_code == 1
    assert result.stderr == "error: http://127.0.0.1:1: cannot connect: connection refused\n"


def test_a_certificate_that_nobody_vouches_for_is_said(tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*CA("nobody's").issue().write(tmp_path))
    with listening(context) as address:
        result = run("up", f"--url=https://{address}")
    assert result.exit_code == 1
    assert "its certificate is refused: unable to get local issuer certificate" in result.stderr
    assert "see tls_config of --http-client-file" in result.stderr


@pytest.mark.parametrize(
    ("scheme", "greeting", "says"),
    [
        ("https", b"220 mail.example ESMTP\r\n", "it does not speak TLS (write http://)"),
        (
            "http",
            b"\x15\x03\x01\x00\x02\x02\x46",
            "what answers there is no HTTP server, or wants TLS (https://)",
        ),
    ],
)
def test_the_wrong_scheme_is_said(scheme: str, greeting: bytes, says: str) -> None:
    with listening(None, greeting) as address:
        result = run("up", f"--url={scheme}://{address}")
    assert result.exit_code == 1
    assert says in result.stderr


def test_what_a_server_says_in_plain_text_is_passed_on() -> None:
    said = b"Client sent an HTTP request to an HTTPS server.\n"
    with serving(400, said, "text/plain; charset=utf-8") as server:
        result = run("up", f"--url={server.url}")
    assert result.exit_code == 1
    assert "answered 400 Bad Request: Client sent an HTTP request to an HTTPS server." in result.stderr


def test_credentials_come_from_the_file(tmp_path: Path) -> None:
    path = tmp_path / "client.yaml"
    path.write_text("bearer_token: secret\n")
    with serving(200, ANSWER) as server:
        assert run("up", f"--url={server.url}", f"--http-client-file={path}").exit_code == 0
    assert server.asked[0][2]["authorization"] == "Bearer secret"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "--url, --endpoints.config"),
        (["--url=http://a", "--endpoints.config=b"], "--url, --endpoints.config"),
        (["--url=ftp://a"], "not an http or https URL"),
        (["--url=http://a", "--time=x", "--timeout=0"], "--timeout"),
        (["--url=http://a", "--http-client-file=nowhere"], "nowhere: no such file"),
        (["--endpoints.config=nowhere"], "nowhere: no such file"),
        (["--endpoints.config=nowhere", "--http-client-file=a"], "--http-client-file"),
        (["--url=http://a", "--since=x"], "--since"),
        (["--url=http://a", "--output=yaml"], "--output"),
    ],
)
def test_faults_of_flags_and_files_have_exit_code_2(arguments: list[str], says: str) -> None:
    result = run("up", *arguments)
    assert result.exit_code == 2
    assert says in result.stderr
