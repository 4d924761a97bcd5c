"""gRPC's service config, as far as it says something about what is done here anyway."""

import json

_POLICY = "round_robin"


def not_followed(content: str) -> tuple[str, ...]:
    """What of a service config in JSON is not done, as paths of keys.

    Done is: each call to the next address in turn, and again on another where it was never processed.

    :raises ValueError: it is no JSON object.
    """
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from None
    if not isinstance(found, dict):
        raise ValueError("not a JSON object")
    left_out: list[str] = []
    for key, value in found.items():
        if key == "loadBalancingPolicy" and str(value).lower() == _POLICY:
            continue
        if key == "loadBalancingConfig" and _first_policy(value) == _POLICY:
            continue
        if isinstance(value, list) and key == "methodConfig":
            names = {name for each in value if isinstance(each, dict) for name in each} - {"name"}
            left_out.extend(f"methodConfig.{name}" for name in sorted(names))
            continue
        left_out.append(key)
    return tuple(left_out)


def _first_policy(value: object) -> str:
    """gRPC takes the first of the list that it knows; it knows this one."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return next(iter(value[0]), "")
    return ""
