"""Random PromQL that is well typed, over metrics of four kinds, for tests that compare evaluators.

``x_total`` counts, ``w`` is a gauge of finite values, ``y`` one of any, ``b`` has classic buckets.
"""

from hypothesis import strategies as st

Text = st.SearchStrategy[str]

MOMENT = "<moment>"
"""Stands for an absolute time, in seconds; see `placed`."""
WINDOW_FUNCTIONS = (
    "delta irate idelta sum_over_time avg_over_time min_over_time max_over_time"
    " count_over_time last_over_time present_over_time stddev_over_time stdvar_over_time"
    " changes resets absent_over_time"
).split()
RATES = ["rate", "increase"]
LINES = ["deriv"]
NEW_WINDOW_FUNCTIONS = "first_over_time mad_over_time ts_of_first_over_time ts_of_last_over_time".split()
"""Not in Prometheus 2."""
_AGGREGATIONS = "sum avg min max count group".split()
_SPREADS = ["stddev", "stdvar"]
_ARITHMETIC = "+ - * / % ^".split()
_COMPARISON = "== != < <= > >=".split()
_OPERATORS = [*_ARITHMETIC, *_COMPARISON]
_FUNCTIONS = (
    "abs absent acos acosh asin asinh atan atanh ceil cos cosh deg exp floor ln log10 log2 rad sgn sin sinh"
    " sqrt tan tanh timestamp day_of_month day_of_week day_of_year days_in_month hour minute month year"
    " sort sort_desc round"
).split()
_OF_SUBQUERIES = [
    *"max_over_time irate delta count_over_time last_over_time resets sum_over_time".split(),
    *"changes stddev_over_time absent_over_time".split(),
]
_FINITE = ["x_total", "w", 'w{job="a"}', 'x_total{instance="1"}', 'w{zone=""}', 'x_total{le!=""}']
_ANY = [
    "y",
    "b",
    'y{instance=~"1|3"}',
    '{job="a"}',
    '{__name__=~".+"}',
    '{__name__=~"x_total|y", le=""}',
    'y{zone!~"z"}',
    "nothing",
]

_selected = st.sampled_from([*_FINITE, *_ANY])
_finite = st.sampled_from(_FINITE)
_at = st.sampled_from(
    [
        *[""] * 4,
        " offset 1m",
        " offset -1m",
        f" @ {MOMENT}",
        " @ end() offset 30s",
        " @ start()",
        f" offset 45s @ {MOMENT}",
    ]
)
_offsets = st.sampled_from([*[""] * 2, " offset 1m", " offset -1m"])
_width = st.sampled_from(["15s", "1m", "5m", "10m1s500ms"])
_grouping = st.sampled_from(
    [*[""] * 2, "by (job)", "without (instance)", "by (job, le)", "by (nothing)", "without ()", "by ()"]
)
_matching = st.sampled_from(
    [
        *[""] * 3,
        "on (job)",
        "on (job, instance, le)",
        "ignoring (le, zone)",
        "on (job) group_left ()",
        "on (job, instance) group_left (zone)",
        "on (instance) group_right (zone)",
        "ignoring (zone) group_right ()",
    ]
)
_sets = st.sampled_from(["", "on (job)", "on ()", "ignoring (le, zone)", "on (job, instance)"])
_numbers = st.sampled_from(["0", "1", "-1.5", "2.25", "40", "1e3", "Inf", "-Inf", "time()", "pi()"])
_quantiles = st.sampled_from(["0.3", "0.5", "0", "1", "2", "-1"])
_odd_numbers = st.sampled_from(["NaN", "-time()", "1e300", "scalar(y)"])
_groups = st.sampled_from(
    [
        ("(1)|(2)", "$1x"),
        ("(.*)", "${1}"),
        ("1|2", ""),
        ("(?P<only>2)", "$only-$1"),
        ("[12]", "same"),
        ("(.)(.*)", "$2$1"),
    ]
)


def ranges(names: Text = _selected, at: Text = _at) -> Text:
    """Range selectors."""
    return st.builds("{}[{}]{}".format, names, _width, at)


def _scalars(inner: Text, peer: bool) -> Text:
    simple = st.one_of(
        _numbers if peer else _numbers | _odd_numbers,
        st.builds("scalar({})".format, inner),
        st.builds("-({})".format, _numbers),
    )
    return st.one_of(
        _numbers,
        simple,
        st.builds("(({}) {} ({}))".format, simple, st.sampled_from(_ARITHMETIC), simple),
        st.builds("(({}) {} bool ({}))".format, simple, st.sampled_from(_COMPARISON), simple),
    )


def _leaves(peer: bool) -> Text:
    """:param peer: only what Prometheus 2 computes in the same way."""
    plain = WINDOW_FUNCTIONS if peer else [*WINDOW_FUNCTIONS, *NEW_WINDOW_FUNCTIONS]
    # A rate is extrapolated to zero there even where no sample is near the begin of the window: counters of
    # the tests are too far from zero for that.
    counters = st.sampled_from(["x_total", 'x_total{job="a"}', "b"]) if peer else _selected
    spread = _finite if peer else _selected
    quantiles = _quantiles if peer else _quantiles | _odd_numbers
    ahead = st.sampled_from(["60", "-90.5", "0"] if peer else ["60", "-time()", "scalar(y)"])
    # With @ it is evaluated there as if the window moved, and a line through infinity is no line.
    predicted = ranges(_finite, _offsets) if peer else ranges()
    smoothing = "holt_winters" if peer else "double_exponential_smoothing"
    return st.one_of(
        st.builds("{}{}".format, _selected, _at),
        st.builds("{}({})".format, st.sampled_from(plain), ranges()),
        st.builds("{}({})".format, st.sampled_from(RATES), ranges(counters)),
        st.builds("quantile_over_time({}, {})".format, quantiles, ranges()),
        st.builds("predict_linear({}, {})".format, predicted, ahead),
        st.builds("deriv({})".format, ranges(spread)),
        st.builds(f"{smoothing}({{}}, {{}}, 0.3)".format, ranges(), st.sampled_from(["0.1", "0.7"])),
        # Of equal values another one may be chosen, and infinite spreads are numbers there.
        st.builds(
            "{} {} ({}, {}{})".format,
            st.sampled_from(["topk", "bottomk"]),
            _grouping,
            st.sampled_from(["1", "2", "3"]),
            _finite if peer else _selected,
            _at,
        ),
        st.builds("{} {} ({}{})".format, st.sampled_from(_SPREADS), _grouping, spread, _at),
        st.builds("vector({})".format, _numbers),
        st.builds("{}()".format, st.sampled_from(["hour", "minute", "day_of_year"])),
    )


def _aggregated(inner: Text, peer: bool) -> Text:
    return st.one_of(
        st.builds("{} {} ({})".format, st.sampled_from(_AGGREGATIONS), _grouping, inner),
        st.builds("quantile {} ({}, {})".format, _grouping, _quantiles, inner),
        # Its labels tell the last digit, which is only the same where nothing was rounded.
        st.builds('count_values {} ("v", {})'.format, _grouping, _exact() if peer else inner),
    )


def _exact() -> Text:
    simple = st.sampled_from(["count_over_time", "max_over_time", "last_over_time", "changes", "idelta"])
    return st.one_of(st.builds("{}{}".format, _selected, _at), st.builds("{}({})".format, simple, ranges()))


def _operated(inner: Text, peer: bool) -> Text:
    # Its result kept the metric's name.
    operators = st.sampled_from(_OPERATORS if peer else [*_OPERATORS, "atan2"])
    return st.one_of(
        st.builds("({}) {} {} ({})".format, inner, operators, _matching, inner),
        st.builds("({}) {} bool {} ({})".format, inner, st.sampled_from(_COMPARISON), _matching, inner),
        st.builds("({}) {} {} ({})".format, inner, st.sampled_from(["and", "or", "unless"]), _sets, inner),
        st.builds("({}) {} {}".format, inner, operators, _scalars(inner, peer)),
        st.builds("{} {} ({})".format, _scalars(inner, peer), operators, inner),
        st.builds("{} {} bool ({})".format, _scalars(inner, peer), st.sampled_from(_COMPARISON), inner),
        st.builds("-({})".format, inner),
    )


def _applied(inner: Text, peer: bool) -> Text:
    scalars = _scalars(inner, peer)
    quantiles = _quantiles if peer else _quantiles | _odd_numbers
    return st.one_of(
        st.builds("{}({})".format, st.sampled_from(_FUNCTIONS), inner),
        st.builds("vector({})".format, scalars),
        st.builds("clamp({}, {}, {})".format, inner, scalars, scalars),
        st.builds("{}({}, {})".format, st.sampled_from(["clamp_min", "clamp_max"]), inner, scalars),
        st.builds("round({}, {})".format, inner, st.sampled_from(["0.3", "5", "-2"])),
        st.builds("histogram_quantile({}, {})".format, quantiles, st.one_of(inner, ranged_buckets())),
        st.builds(
            lambda inner, to, source, group: (
                f'label_replace({inner}, "{to}", "{group[1]}", "{source}", "{group[0]}")'
            ),
            inner,
            st.sampled_from(["job", "new", "instance", "__name__"]),
            st.sampled_from(["instance", "job", "nothing", "le"]),
            _groups,
        ),
        st.builds(
            'label_join({}, "{}", "-", {})'.format,
            inner,
            st.sampled_from(["new", "job", "zone"]),
            st.sampled_from(['"job", "le"', '"nothing"', '"instance"']),
        ),
    )


def ranged_buckets() -> Text:
    """Rates of classic buckets."""
    return st.builds("rate(b[{}]{})".format, st.sampled_from(["1m", "5m"]), _at)


def _looked_back(inner: Text, peer: bool) -> Text:
    def subqueries(at: Text, inner: Text = inner) -> Text:
        return st.builds(
            _subquery,
            inner,
            st.sampled_from(["1m", "3m", "5m"]),
            st.sampled_from(["", "30s", "7s", "15s"]),
            at,
            st.just(peer),
        )

    return st.one_of(
        st.builds("{}({})".format, st.sampled_from(_OF_SUBQUERIES), subqueries(_at)),
        st.builds("quantile_over_time({}, {})".format, _quantiles, subqueries(_at)),
        st.builds("deriv({})".format, subqueries(_at, _finite if peer else inner)),
        st.builds(
            "predict_linear({}, 30)".format,
            subqueries(_offsets, _finite) if peer else subqueries(_at),
        ),
    )


def _subquery(inner: str, width: str, step: str, at: str, peer: bool) -> str:
    """Inside subqueries with modifiers, Prometheus 2 takes what has a time of its own from another time."""
    if peer and "@" in inner:
        at = ""
    return f"({inner})[{width}:{step}]{at}"


def expressions(*, peer: bool, leaves: int = 4) -> Text:
    """Instant vectors.

    :param peer: only what Prometheus 2 computes in the same way.
    :param leaves: at most so many selectors or thereabouts.
    """

    def wider(inner: Text) -> Text:
        return st.one_of(
            _aggregated(inner, peer), _operated(inner, peer), _applied(inner, peer), _looked_back(inner, peer)
        )

    return st.recursive(_leaves(peer), wider, max_leaves=leaves)


def placed(expression: str, begin: int) -> str:
    """With the absolute times that it names, for data that begin there.

    :param begin: milliseconds since the epoch.
    """
    return expression.replace(MOMENT, f"{(begin + 500_000) / 1000:.3f}")
