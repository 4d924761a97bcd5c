"""Parts of the language that Prometheus calls experimental, each switched on by itself."""

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
