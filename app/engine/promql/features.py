"""Parts of the language that Prometheus calls experimental, each switched on by itself."""

from collections.abc import Collection

import msgspec


class Features(msgspec.Struct, frozen=True):
    """
    :param experimental_functions: ``--enable-feature=promql-experimental-functions``.
    :param duration_expressions: ``promql-duration-expr``.
    :param extended_range_selectors: ``promql-extended-range-selectors``: `anchored` and `smoothed`.
    :param fill_modifiers: ``promql-binop-fill-modifiers``.
    :param delayed_name_removal: ``promql-delayed-name-removal``.
    """

    experimental_functions: bool = False
    duration_expressions: bool = False
    extended_range_selectors: bool = False
    fill_modifiers: bool = False
    delayed_name_removal: bool = False


NO_FEATURES = Features()
ALL_FEATURES = Features(True, True, True, True)


def features_of(names: Collection[str]) -> Features:
    """By the names that `--enable-feature` knows them by."""
    return Features(
        experimental_functions="promql-experimental-functions" in names,
        duration_expressions="promql-duration-expr" in names,
        extended_range_selectors="promql-extended-range-selectors" in names,
        fill_modifiers="promql-binop-fill-modifiers" in names,
        delayed_name_removal="promql-delayed-name-removal" in names,
    )
