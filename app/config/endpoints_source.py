"""Where the endpoint groups come from, so that they can be read again."""

from pathlib import Path

import msgspec

from app.config.endpoints_file import parse_endpoints_config
from app.config.model import EndpointsConfig, EndpointsFormat, EndpointsSource
from app.config.sd_config import parse_sd_config
from app.config.yaml_file import YamlMapping, parse_yaml, read_config

SD_CONFIG_FLAG = "--endpoint.sd-config"


def load_endpoints(source: EndpointsSource) -> EndpointsConfig:
    """All endpoints of `source`, read now.

    :raises ConfigError: with every fault.
    """
    return parse_endpoints(source, read_config(Path(source.path)) if source.path else source.content)


def load_either_format(path: Path) -> EndpointsConfig:
    """The endpoints of a file in our format or in Thanos's, whichever it is.

    :raises ConfigError: with every fault.
    """
    content, where = read_config(path), str(path)
    thanos = isinstance(parse_yaml(content, where), YamlMapping)
    source = EndpointsSource(
        format=EndpointsFormat.THANOS if thanos else EndpointsFormat.CROSSREALM, path=where
    )
    return parse_endpoints(source, content)


def parse_endpoints(source: EndpointsSource, content: bytes) -> EndpointsConfig:
    """All endpoints of `source`.

    :param content: of its file, or of its flag.
    :raises ConfigError: with every fault.
    """
    if source.format is EndpointsFormat.FLAGS:
        groups = (source.flags,) if source.flags.endpoints or source.flags.sd_files else ()
        config = EndpointsConfig(groups=groups)
    elif source.format is EndpointsFormat.THANOS:
        config = parse_sd_config(content, source.path or SD_CONFIG_FLAG, source.flags)
    else:
        config = EndpointsConfig(groups=parse_endpoints_config(content, source.path))
    if any(group.endpoints or group.sd_files for group in config.groups):
        return config
    nothing = "no endpoints are configured; every answer will be empty"
    return msgspec.structs.replace(config, warnings=(*config.warnings, nothing))
