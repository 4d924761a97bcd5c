"""What is PromQL, what is not and why, and that printing a tree gives the tree back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engine.promql import ast
from app.engine.promql.errors import ParseError
from app.engine.promql.features import ALL_FEATURES, NO_FEATURES
from app.engine.promql.parser import parse, parse_selector
from app.engine.promql.printer import pretty, text

ROUND_TRIPS = [
    "1",
    "-1 ^ 2",
    "2 ^ 3 ^ 4",
    "1 + 2 * 3 - 4 / 5 % 6 atan2 7",
    "0x1f + 1_000 + 1e-3 + Inf",
    "5m + 1h30m",
    "foo",
    'foo{bar="baz",quux=~"a.*",no!="x",never!~"y|z"}',
    '{"utf8.métrique", "labél"="x"}',
    "foo:bar:baz offset 5m",
    "foo[5m] offset -1h30m",
    "foo @ 1603774568.5",
    "foo[5m] @ start() offset 1m",
    "rate(foo[5m])[1h:30s] @ end()",
    "min_over_time(rate(foo[5m])[1h:])",
    "sum by (a, b) (foo) / on (a) group_left (c) sum without (b) (bar)",
    "foo and bar unless baz or qux",
    "foo > bool 5 == bool on () bar",
    "quantile by (job) (0.9, foo)",
    'count_values("v", foo)',
    "limit_ratio(-0.5, foo)",
    'label_replace(up, "a", "$1\\n", "b", "(.*)")',
    "-foo + +bar",
    "(((foo)))",
    "foo[step() * 2 + 1m] offset (range() / 2)",
    "foo[max_of(step(), 1m)]",
    "rate(foo[5m] anchored)",
    "foo smoothed offset 1m",
    "foo + on (a) fill (0) bar",
    "foo + on (a) group_left (b) fill_left (1) fill_right (-2) bar",
    "h </ 5 >/ 2",
    "sum(sum) + by + on_call + fill",
    'info(foo, {k8s_cluster=~".+"})',
    'foo{a="\\"quoted\\"",b=\'single\',c=`raw\\n`}',
]

REFUSED = [
    ("", "unknown position: parse error: no expression found in input"),
    ("# nothing", "1:1: parse error: no expression found in input"),
    ("1 +", "1:4: parse error: unexpected end of input"),
    ("(1", "1:3: parse error: unclosed left parenthesis"),
    ("foo{", "1:5: parse error: unexpected end of input inside braces"),
    ("foo{a}", '1:6: parse error: unexpected "}" in label matching, expected label matching operator'),
    (
        'foo{a="b" c="d"}',
        '1:11: parse error: unexpected identifier "c" in label matching, expected "," or "}"',
    ),
    ("foo[5m", "1:7: parse error: unclosed left bracket"),
    ("foo[-5m]", "1:5: parse error: duration must be greater than 0"),
    ("foo[5m] + 1", "1:1: parse error: binary expression must contain only scalar and instant vector types"),
    ("foo offset 1m offset 2m", "1:1: parse error: offset may not be set multiple times"),
    ("foo offset 1m[5m]", "1:14: parse error: no offset modifiers allowed before range"),
    ("(foo)[5m]", "1:6: parse error: ranges only allowed for vector selectors"),
    ("1 == 1", "1:3: parse error: comparisons between scalars must use BOOL modifier"),
    ("foo + bool bar", "1:5: parse error: bool modifier can only be used on comparison operators"),
    ("foo or on (a) group_left (b) bar", '1:1: parse error: no grouping allowed for "or" operation'),
    ("foo and 1", '1:1: parse error: set operator "and" not allowed in binary scalar expression'),
    ("{}", "1:1: parse error: vector selector must contain at least one non-empty matcher"),
    ('{a=~".*"}', "1:1: parse error: vector selector must contain at least one non-empty matcher"),
    ('foo{__name__="bar"}', '1:1: parse error: metric name must not be set twice: "foo" or "bar"'),
    ('foo{a=~"("}', "1:5: parse error: error parsing regexp: missing closing ): `(`"),
    ("nothing(foo)", '1:1: parse error: unknown function with name "nothing"'),
    (
        "rate(foo)",
        '1:6: parse error: expected type range vector in call to function "rate", got instant vector',
    ),
    ("rate()", '1:1: parse error: expected 1 argument(s) in call to "rate", got 0'),
    ("round(foo, 1, 2)", '1:1: parse error: expected at most 2 argument(s) in call to "round", got 3'),
    ("sum(foo,)", "1:8: parse error: trailing commas not allowed in function call args"),
    (
        "topk(foo)",
        "1:1: parse error: wrong number of arguments for aggregate expression provided, expected 2, got 1",
    ),
    (
        "sum by (a foo)",
        '1:11: parse error: unexpected identifier "foo" in grouping opts, expected "," or ")"',
    ),
    ("foo[5m:1s", "1:10: parse error: unclosed left bracket"),
    ('"a', "1:1: parse error: unterminated quoted string"),
    ("foo\n  + @", "2:5: parse error: unexpected <op:@>"),
]

EXPERIMENTAL = [
    ("limitk(1, foo)", "limitk() is experimental"),
    ("mad_over_time(foo[5m])", 'function "mad_over_time" is not enabled'),
    ("foo[step()]", "experimental duration expression is not enabled"),
    ("foo anchored", "anchored modifier is experimental and not enabled"),
    ("foo + fill (0) bar", "binop fill modifiers are experimental and not enabled"),
]


@pytest.mark.parametrize("query", ROUND_TRIPS)
def test_printing_gives_the_tree_back(query: str) -> None:
    tree = parse(query, ALL_FEATURES)
    printed = text(tree)
    assert text(parse(printed, ALL_FEATURES)) == printed
    assert text(parse(pretty(tree), ALL_FEATURES)) == printed


@pytest.mark.parametrize(("query", "said"), REFUSED)
def test_what_is_refused_and_why(query: str, said: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse(query, ALL_FEATURES)
    assert str(caught.value) == said


@pytest.mark.parametrize(("query", "said"), EXPERIMENTAL)
def test_experiments_are_off(query: str, said: str) -> None:
    parse(query, ALL_FEATURES)
    with pytest.raises(ParseError, match=said.replace("(", r"\(").replace(")", r"\)")):
        parse(query, NO_FEATURES)


def test_positions() -> None:
    tree = parse("sum(rate(a[5m])) /\n b")
    assert isinstance(tree, ast.BinaryExpr)
    assert (tree.span, tree.right.span) == (ast.Span(0, 21), ast.Span(20, 21))
    assert isinstance(tree.left, ast.AggregateExpr)
    assert tree.left.expr.span == ast.Span(4, 15)


def test_precedence() -> None:
    for query, wanted in (
        ("-1 ^ 2", "-(1 ^ 2)"),
        ("a + b * c", "a + (b * c)"),
        ("2 ^ 3 ^ 2", "2 ^ (3 ^ 2)"),
        ("a or b and c", "a or (b and c)"),
        ("a > b + c", "a > (b + c)"),
    ):
        assert _bare(parse(query)) == _bare(parse(wanted))


def _bare(node: ast.Expr) -> object:
    """Without positions and parentheses."""
    node = ast.unwrapped(node)
    inner = [_bare(child) for child in ast.children(node)]
    return type(node).__name__, getattr(node, "op", getattr(node, "value", getattr(node, "name", ""))), inner


def test_long_queries_are_broken_over_lines() -> None:
    query = (
        "sum by (a) (rate("
        + "x" * 60
        + "[5m])) / on (a) group_left () sum by (a) (rate("
        + "y" * 60
        + "[5m]))"
    )
    lines = pretty(parse(query)).split("\n")
    assert len(lines) == 3
    assert lines[1] == "/ on (a) group_left ()"


def test_selectors_of_the_api() -> None:
    assert [each.op for each in parse_selector('{a="b",c!~"d"}')] == ["=", "!~"]
    assert parse_selector("{}") == ()
    for wrong in ("1", "foo + bar", "foo[5m]", ""):
        with pytest.raises(ParseError):
            parse_selector(wrong)


@pytest.mark.parametrize("opening", ["(", "-", "sum(", "a+(", "a^"])
def test_deep_nesting_is_refused(opening: str) -> None:
    with pytest.raises(ParseError):
        parse(opening * 100_000)


PIECES = st.sampled_from(
    [
        *"(){}[],:@=~!<>+-*/%^\"'`\\ \n#",
        "foo",
        "sum",
        "by",
        "offset",
        "1",
        "5m",
        "0x",
        "e",
        "bool",
        "\u00e9",
        "step",
    ]
)


@given(st.lists(PIECES, max_size=25).map("".join))
def test_anything_is_read_or_refused(query: str) -> None:
    try:
        tree = parse(query, ALL_FEATURES)
    except ParseError as error:
        assert "parse error" in str(error)
    else:
        assert text(parse(text(tree), ALL_FEATURES)) == text(tree)
