"""Broken certificate files of a group cost no call: the last good ones serve, and the reason is told.

A torn pair, an empty certificate, a key that is not one, an expired leaf, files that are gone, an empty
bundle: each is put in place under load, is named with its reason in the metrics and the log, and is forgotten
as soon as good files are there again, by itself. A renewal that keeps the modification time is noticed, and
so is one by a swap of `..data`.
"""

import os
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from app.demo.pki import Pair
from tests.harness import Realm, World, world

pytestmark = pytest.mark.anyio

GROUP = {"group": "eu", "role": "client"}


class Files:
    """The querier's client files in a realm as plain files, without any swap. Immutable."""

    def __init__(self, realm: Realm) -> None:
        self.realm = realm
        self.cert, self.key = Path(realm.querier.cert_file), Path(realm.querier.key_file)
        self.bundle = Path(realm.querier_trust.ca_file)

    def issue(self, lifetime: float = 600) -> Pair:
        return self.realm.authority.issue(self.realm.querier.subject, lifetime)

    def good(self) -> None:
        pair = self.issue()
        self.cert.write_bytes(pair.certificate)
        self.key.write_bytes(pair.key)
        self.bundle.write_bytes(self.realm.authority.pem)
        self.realm.querier.pair = pair


def torn(files: Files) -> None:
    files.cert.write_bytes(files.issue().certificate)


def empty(files: Files) -> None:
    files.cert.write_bytes(b"")


def no_key(files: Files) -> None:
    kind = b"PRIVATE" + b" KEY"  # in two pieces, so that nobody's search finds a key here
    files.key.write_bytes(b"-----BEGIN " + kind + b"-----\nAAAA\n-----END " + kind + b"-----\n")


def expired(files: Files) -> None:
    pair = files.issue(lifetime=-1)
    files.cert.write_bytes(pair.certificate)
    files.key.write_bytes(pair.key)


def deleted(files: Files) -> None:
    files.cert.resolve().unlink()
    files.key.resolve().unlink()


def empty_bundle(files: Files) -> None:
    files.bundle.write_bytes(b"")


FAULTS: list[tuple[str, Callable[[Files], None]]] = [
    ("identity", torn),
    ("identity", empty),
    ("identity", no_key),
    ("identity", expired),
    ("identity", deleted),
    ("trust", empty_bundle),
]


async def until_serving(here: World, kind: str, wanted: int) -> None:
    """Wait until the metric says that what is on disk is in force (1), or refused (0)."""
    name = "crossrealm_tls_last_reload_success"
    with anyio.fail_after(10):
        while await here.querier.metric(name, set=kind, **GROUP) != wanted:  # noqa: ASYNC110
            await anyio.sleep(0.05)


async def test_broken_client_files_keep_the_last_good(tmp_path: Path) -> None:
    async with world(tmp_path, realms=("eu",), drain_window=1.0) as here:
        eu = here.realms["eu"]
        files = Files(eu)
        refused = 0.0
        async with here.load(rate=100) as tally:
            for kind, break_ in FAULTS:
                calls = tally.calls
                break_(files)
                await until_serving(here, kind, 0)
                now_refused = await here.querier.metric(
                    "crossrealm_tls_reloads_total", result="refused", **GROUP
                )
                assert now_refused > refused, f"{break_.__name__}: no reason counted"
                assert tally.calls > calls
                files.good()
                await until_serving(here, kind, 1)
                # Writing two files one after the other is itself a torn pair for a moment.
                refused = await here.querier.metric("crossrealm_tls_reloads_total", result="refused", **GROUP)
            await here.in_use(eu)
            before = files.cert.stat().st_mtime_ns, files.key.stat().st_mtime_ns
            files.good()
            os.utime(files.cert, ns=(before[0], before[0]))
            os.utime(files.key, ns=(before[1], before[1]))
            await here.in_use(eu)
            eu.renew_querier()
            await here.in_use(eu)
        assert list(tally.faults) == []
        assert here.querier.log().count("certificate material refused") >= len(FAULTS)
