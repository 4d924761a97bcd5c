"""Histograms for hypothesis, with whole counts, so that sums are exact."""

from hypothesis import strategies as st

from app.engine.histogram.model import CUSTOM_SCHEMA, FloatHistogram, ResetHint, exponential_bound

_COUNTS = st.integers(1, 1000).map(float)
_HINTS = st.sampled_from(ResetHint)
_SCHEMAS = st.integers(-4, 8)
_THRESHOLDS = st.sampled_from([0.0, 2.0**-128, 0.001, 0.5, 1.0, 1.5])


@st.composite
def exponential(
    draw: st.DrawFn, schema: int | None = None, zero_threshold: float | None = None
) -> FloatHistogram:
    """Without buckets in the zero bucket."""
    schema = draw(_SCHEMAS) if schema is None else schema
    threshold = draw(_THRESHOLDS) if zero_threshold is None else zero_threshold
    sides = [
        {
            index: count
            for index, count in draw(st.dictionaries(st.integers(-40, 40), _COUNTS, max_size=8)).items()
            if exponential_bound(index - 1, schema) >= threshold
        }
        for _ in range(2)
    ]
    zero_count = float(draw(st.integers(0, 1000)))
    return FloatHistogram(
        schema=schema,
        zero_threshold=threshold,
        zero_count=zero_count,
        count=zero_count + sum(sides[0].values()) + sum(sides[1].values()),
        sum=float(draw(st.integers(-10_000, 10_000))),
        positive=sides[0],
        negative=sides[1],
        reset_hint=draw(_HINTS),
    )


@st.composite
def alike(draw: st.DrawFn, *, one_zero_bucket: bool = False) -> tuple[FloatHistogram, FloatHistogram]:
    """Two of one resolution."""
    schema = draw(_SCHEMAS)
    threshold = draw(_THRESHOLDS) if one_zero_bucket else None
    return draw(exponential(schema, threshold)), draw(exponential(schema, threshold))


@st.composite
def custom(draw: st.DrawFn) -> FloatHistogram:
    bounds = tuple(sorted(map(float, draw(st.sets(st.integers(-20, 20), max_size=6)))))
    positive = draw(st.dictionaries(st.integers(0, len(bounds)), _COUNTS, max_size=7))
    return FloatHistogram(
        schema=CUSTOM_SCHEMA,
        count=sum(positive.values()),
        sum=float(draw(st.integers(-10_000, 10_000))),
        positive=positive,
        custom_values=bounds,
        reset_hint=draw(_HINTS),
    )
