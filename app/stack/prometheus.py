"""Debian's Prometheus as a child process, with rules and targets."""

import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import yaml

from app.demo.processes import Child, running, until_up
from app.errors import CrossrealmError

RULES = {
    "groups": [
        {
            "name": "stack",
            "interval": "1s",
            "rules": [
                {"record": "job:up:sum", "expr": "sum by (job) (up)", "labels": {"kind": "example"}},
                {
                    "alert": "AlwaysFiring",
                    "expr": "vector(1)",
                    "labels": {"severity": "none"},
                    "annotations": {"summary": "shows that alerts come through"},
                },
                {"alert": "TargetDown", "expr": "up == 0", "for": "1m", "labels": {"severity": "warning"}},
            ],
        }
    ]
}


def program() -> str:
    """Where Prometheus is.

    :raises CrossrealmError: it is not installed.
    """
    found = shutil.which("prometheus")
    if found is None:
        raise CrossrealmError(
            "prometheus is not installed; it is in Debian's package of that name (apt-get install prometheus)"
        )
    return found


class PrometheusServer(msgspec.Struct, frozen=True, kw_only=True):
    """One Prometheus; it runs in `running`, which may be entered again with the same data.

    :param directory: of its configuration and its data; made here.
    :param targets: job -> ``host:port`` to scrape every second.
    :param honor_labels: jobs whose series keep labels of their own.
    """

    name: str
    directory: Path
    address: str
    external_labels: Mapping[str, str]
    targets: Mapping[str, Sequence[str]]
    honor_labels: frozenset[str] = frozenset()

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def write(self) -> None:
        """Write the configuration; a running server reads it at ``POST /-/reload``."""
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / "rules.yml").write_text(yaml.safe_dump(RULES, sort_keys=False))
        written = {
            "global": {
                "scrape_interval": "1s",
                "evaluation_interval": "1s",
                "external_labels": dict(self.external_labels),
            },
            "rule_files": ["rules.yml"],
            "scrape_configs": [
                {
                    "job_name": job,
                    "honor_labels": job in self.honor_labels,
                    "static_configs": [{"targets": list(addresses)}],
                }
                for job, addresses in {"prometheus": [self.address], **self.targets}.items()
            ],
        }
        (self.directory / "prometheus.yml").write_text(yaml.safe_dump(written, sort_keys=False))

    @asynccontextmanager
    async def running(self, logs: Path, *, limit: float = 30.0) -> AsyncIterator[Child]:
        """The process, entered when it answers.

        :param limit: seconds to come up.
        """
        self.write()
        command = [
            program(),
            f"--config.file={self.directory / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.directory / 'data'}",
            f"--web.listen-address={self.address}",
            "--web.enable-lifecycle",
            "--enable-feature=exemplar-storage",
            "--log.level=warn",
        ]
        async with running(self.name, command, logs, grace=10.0) as child:
            await until_up(child, self.url, limit)
            yield child
