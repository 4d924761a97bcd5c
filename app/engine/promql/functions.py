"""The functions of PromQL and their types, as Prometheus 3.14 has them."""

import msgspec

from app.engine.promql.ast import ValueType

S, V, M, T = ValueType.SCALAR, ValueType.VECTOR, ValueType.MATRIX, ValueType.STRING


class Signature(msgspec.Struct, frozen=True):
    """
    :param variadic: how many arguments past the mandatory ones may follow, the last type repeating; -1: any
        number. The last of `args` is then itself optional.
    """

    name: str
    args: tuple[ValueType, ...]
    returns: ValueType = V
    variadic: int = 0
    experimental: bool = False


def _table() -> dict[str, Signature]:
    found: dict[str, Signature] = {}

    def add(
        names: str, *args: ValueType, returns: ValueType = V, variadic: int = 0, experimental: bool = False
    ) -> None:
        for name in names.split():
            found[name] = Signature(name, args, returns, variadic, experimental)

    add("abs absent acos acosh asin asinh atan atanh ceil cos cosh deg exp floor ln log10 log2 rad sgn", V)
    add("sin sinh", V)
    add("sort sort_desc sqrt tan tanh timestamp", V)
    add("histogram_avg histogram_count histogram_sum histogram_stddev histogram_stdvar", V)
    add(
        "absent_over_time avg_over_time changes count_over_time delta deriv first_over_time idelta increase",
        M,
    )
    add("irate last_over_time max_over_time min_over_time present_over_time rate resets stddev_over_time", M)
    add("stdvar_over_time sum_over_time", M)
    add("mad_over_time ts_of_first_over_time ts_of_last_over_time ts_of_max_over_time", M, experimental=True)
    add("ts_of_min_over_time", M, experimental=True)
    add("days_in_month day_of_month day_of_week day_of_year hour minute month year", V, variadic=1)
    add("clamp", V, S, S)
    add("clamp_max clamp_min", V, S)
    add("end range start step", returns=S, experimental=True)
    add("max_of min_of", S, S, returns=S, experimental=True)
    add("histogram_fraction", S, S, V)
    add("histogram_quantile", S, V)
    add("histogram_quantiles", V, T, S, S, variadic=9, experimental=True)
    add("double_exponential_smoothing", M, S, S, experimental=True)
    add("info", V, V, variadic=1, experimental=True)
    add("label_replace", V, T, T, T, T)
    add("label_join", V, T, T, T, variadic=-1)
    add("pi time", returns=S)
    add("predict_linear", M, S)
    add("quantile_over_time", S, M)
    add("round", V, S, variadic=1)
    add("scalar", V, returns=S)
    add("sort_by_label sort_by_label_desc", V, T, variadic=-1, experimental=True)
    add("start_timestamp", V, experimental=True)
    add("vector", S)
    return found


FUNCTIONS = _table()
