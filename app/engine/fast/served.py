"""What the fast path evaluates, and why not the rest."""

from app.engine.kernels import over_time, rates, statistics
from app.engine.promql import ast
from app.engine.promql.ast import Expr, ValueType
from app.engine.promql.typecheck import type_of

TIME_DEPENDENT = frozenset(
    "days_in_month day_of_month day_of_week day_of_year end hour minute month year predict_linear range start"
    " step time timestamp".split()
)
"""Functions that may change from step to step although their arguments do not."""

WINDOWS = {
    "rate": rates.RATE,
    "increase": rates.INCREASE,
    "delta": rates.DELTA,
    "irate": rates.IRATE,
    "idelta": rates.IDELTA,
    "count_over_time": over_time.COUNT,
    "present_over_time": over_time.PRESENT,
    "absent_over_time": over_time.PRESENT,
    "first_over_time": over_time.FIRST,
    "last_over_time": over_time.LAST,
    "ts_of_first_over_time": over_time.FIRST_TIME,
    "ts_of_last_over_time": over_time.LAST_TIME,
    "changes": over_time.CHANGES,
    "resets": over_time.RESETS,
    "sum_over_time": over_time.SUM,
    "avg_over_time": over_time.AVERAGE,
    "min_over_time": over_time.MIN,
    "max_over_time": over_time.MAX,
    "stddev_over_time": statistics.DEVIATION,
    "stdvar_over_time": statistics.VARIANCE,
    "quantile_over_time": statistics.QUANTILE,
    "deriv": statistics.DERIVATIVE,
    "predict_linear": statistics.PREDICTION,
    "mad_over_time": statistics.ABSOLUTE_DEVIATION,
}
"""Functions of range vectors, and the kernels' numbers for them."""

MATH = frozenset(
    "abs acos acosh asin asinh atan atanh ceil cos cosh deg exp floor ln log10 log2 rad sgn sin sinh sqrt tan"
    " tanh".split()
)
DATES = frozenset("days_in_month day_of_month day_of_week day_of_year hour minute month year".split())
SCALARS = frozenset("pi time start end range step min_of max_of scalar".split())
OTHERS = frozenset(
    "absent clamp clamp_max clamp_min histogram_quantile label_join label_replace round sort sort_desc"
    " timestamp"
    " vector".split()
)
HISTOGRAMS = frozenset(
    "histogram_avg histogram_count histogram_fraction histogram_stddev histogram_stdvar histogram_sum".split()
)
FUNCTIONS = frozenset(WINDOWS) | MATH | DATES | SCALARS | OTHERS | HISTOGRAMS
ARITHMETIC = frozenset({"+", "-", "*", "/", "%", "^", "atan2"})
_OPERATORS = ARITHMETIC | ast.COMPARISONS | ast.SET_OPERATORS
_AGGREGATIONS = frozenset(
    "sum avg count min max group stddev stdvar quantile topk bottomk limitk count_values".split()
)


def objection(expr: Expr) -> str:
    """Why a node by itself is not for the fast path; empty: it is."""
    match expr:
        case ast.VectorSelector() if expr.anchored or expr.smoothed:
            return "anchored and smoothed selectors"
        case ast.Call() if expr.func not in FUNCTIONS:
            return f"function {expr.func}"
        case ast.AggregateExpr() if expr.op not in _AGGREGATIONS:
            return f"aggregation {expr.op}"
        case ast.BinaryExpr() if expr.op not in _OPERATORS:
            return f"operator {expr.op}"
        case ast.BinaryExpr() if expr.matching is not None and _fills(expr.matching):
            return "fill modifiers"
        case _:
            return ""


def _fills(matching: ast.VectorMatching) -> bool:
    return matching.fill_left is not None or matching.fill_right is not None


def result_objection(expr: Expr) -> str:
    """Why what an expression evaluates to is not for the fast path."""
    kind = type_of(expr)
    return "" if kind in (ValueType.SCALAR, ValueType.VECTOR) else f"a {kind.documented} as the result"
