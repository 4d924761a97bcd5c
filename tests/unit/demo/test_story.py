"""The story against a querier that is played here: it shows what is on disk, or does not."""

import time
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from app.demo import story
from app.demo.board import Board, EndpointRow
from app.demo.pki import Authority, Identity
from app.demo.realms import Front, Realm
from app.demo.story import AUTHORITY, LEAF, LISTENER, Chronicle, Story
from app.rpc.model import ChannelStatus, PeerTls
from app.tls.model import CertificateInfo

pytestmark = pytest.mark.anyio


class PlayedQuerier:
    """Mutable: which realms it follows. Plays board and channel, from what is on disk."""

    def __init__(self, eu: Realm, us: Realm, front: Front) -> None:
        self.board = Board("http://unused")
        self.follows = {"eu", "us"}
        self._realms = (eu, us)
        self._front = front

    def look(self) -> None:
        self.board.rows = [
            self._row(realm, identity)
            for realm in self._realms
            for identity in realm.stores.values()
            if realm.name in self.follows
        ]
        self.board.news()

    def _row(self, realm: Realm, identity: Identity) -> EndpointRow:
        assert identity.pair is not None and realm.querier.pair is not None
        return EndpointRow(
            address=identity.cert_file,
            group=realm.name,
            version="TLSv1.3",
            identity="",
            serial=identity.pair.serial,
            client_serial=realm.querier.pair.serial,
            not_after=None,
            connected_at=time.time() + 1,
            handshakes=1,
            calls=1,
            failures=0,
            last_error="",
        )

    def status(self) -> ChannelStatus:
        assert self._front.listener.pair is not None
        leaf = CertificateInfo(
            subject="",
            issuer="",
            serial=self._front.listener.pair.serial,
            sans=(),
            not_before=0,
            not_after=0,
            fingerprint="",
        )
        return ChannelStatus(
            address="",
            connected_at=0,
            tls=PeerTls(version="", cipher="", certificate=leaf, local=None, generation=1),
            handshakes=1,
            calls=1,
            failures=0,
            last_error="",
            identity_refused="",
        )


class Played:
    def __init__(self, root: Path) -> None:
        self.eu = Realm("eu", root / "eu", Authority("eu CA 1"))
        self.us = Realm("us", root / "us", Authority("us CA 1"))
        self.front = Front(root / "front", self.eu.authority)
        self.querier = PlayedQuerier(self.eu, self.us, self.front)
        self.events: list[str] = []
        self.story = Story(
            leaves=self.eu,
            moving=self.us,
            front=self.front,
            board=self.querier.board,
            caller=self.querier,
            chronicle=Chronicle(self.events.append),
        )

    async def run(self, until: Callable[[], bool]) -> None:
        """The story, closed as soon as `until` holds."""
        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._play)
                async with anyio.create_task_group() as telling:
                    telling.start_soon(self.story.run)
                    await _poll(until)
                    self.story.close()
                tasks.cancel_scope.cancel()

    async def _play(self) -> None:
        while True:
            self.querier.look()
            await anyio.sleep(0.01)


async def _poll(until: Callable[[], bool]) -> None:
    while not until():  # noqa: ASYNC110
        await anyio.sleep(0.01)


@pytest.fixture
def played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Played:
    for name in ("LEAF_INTERVAL", "LISTENER_INTERVAL", "AUTHORITY_INTERVAL"):
        monkeypatch.setattr(story, name, 0.01)
    return Played(tmp_path)


async def test_every_kind_of_rotation_happens_and_is_told(played: Played) -> None:
    rotations = played.story.rotations
    await played.run(lambda: min(rotations.values()) >= 2)
    assert set(rotations) == {LEAF, AUTHORITY, LISTENER}
    assert played.story.missed == []
    assert played.us.authority.name.startswith("us CA")
    assert played.us.querier_trust.authorities == (played.us.authority,)
    assert played.us.store_trust.authorities == (played.us.authority,)
    told = " ".join(played.events)
    assert "us: both sides trust us CA 1 and us CA 2" in told
    assert "us CA 1 removed, only us CA 2 is trusted" in told


async def test_the_old_authority_stays_until_the_new_leaves_are_in_use(
    played: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(story, "PICKED_UP_LIMIT", 0.05)
    played.querier.follows = {"eu"}
    await played.run(lambda: bool(played.story.missed))
    assert played.story.rotations[AUTHORITY] == 0
    assert played.us.store_trust.authorities[0].name == "us CA 1"
    assert not any("removed" in event for event in played.events)


async def test_a_rotation_that_has_begun_is_seen_to_its_end(played: Played) -> None:
    await played.run(lambda: True)
    assert min(played.story.rotations.values()) == 1
