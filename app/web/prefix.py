"""Where the paths are: under which prefix they are served here, and under which people see them."""

import msgspec
from starlette.datastructures import Headers

from app.config.model import HttpSettings
from app.config.web_prefix import clean_prefix


class Prefixes(msgspec.Struct, frozen=True):
    """
    :param route: of all paths here but probes, metrics and reload; "" or ``/a``.
    :param external: under which a proxy shows them; likewise.
    :param header: of requests, in which a proxy says the same; "": none is believed.
    """

    route: str = ""
    external: str = ""
    header: str = ""

    @classmethod
    def of(cls, settings: HttpSettings) -> "Prefixes":
        """Those of the flags."""
        return cls(settings.route_prefix, settings.external_prefix, settings.prefix_header)

    def shown(self, headers: Headers) -> str:
        """The prefix for links, for who sent these headers."""
        if self.external:
            return self.external
        if self.header and headers.get(self.header):
            return clean_prefix(headers[self.header])
        return self.route
