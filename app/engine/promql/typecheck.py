"""Whether a tree makes sense: types, numbers of arguments, modifiers that exclude each other."""

import msgspec
import re2

from app.engine.promql import ast
from app.engine.promql.ast import Cardinality, Expr, Matcher, Span, ValueType
from app.engine.promql.errors import ParseError
from app.engine.promql.functions import FUNCTIONS
from app.engine.promql.quoting import quoted


def type_of(node: Expr) -> ValueType:
    """What a node evaluates to."""
    match node:
        case ast.NumberLiteral():
            return ValueType.SCALAR
        case ast.StringLiteral():
            return ValueType.STRING
        case ast.MatrixSelector() | ast.SubqueryExpr():
            return ValueType.MATRIX
        case ast.ParenExpr() | ast.UnaryExpr():
            return type_of(node.expr)
        case ast.Call():
            return FUNCTIONS[node.func].returns
        case ast.BinaryExpr():
            both = {type_of(node.left), type_of(node.right)}
            return ValueType.SCALAR if both == {ValueType.SCALAR} else ValueType.VECTOR
        case _:
            return ValueType.VECTOR


def check(node: Expr, query: str) -> Expr:
    """The tree, completed: set operators are many-to-many, scalars have no vector matching.

    :raises ParseError: the first fault, in Prometheus's order and words.
    """
    return _Check(query).visit(node)


class _Check:
    def __init__(self, query: str) -> None:
        self._query = query

    def _fail(self, what: str, span: Span) -> None:
        raise ParseError(what, span, self._query)

    def visit(self, node: Expr) -> Expr:
        match node:
            case ast.AggregateExpr():
                return self._aggregate(node)
            case ast.BinaryExpr():
                return self._binary(node)
            case ast.Call():
                return self._call(node)
            case ast.ParenExpr():
                return msgspec.structs.replace(node, expr=self.visit(node.expr))
            case ast.UnaryExpr():
                expr = self.visit(node.expr)
                if (found := type_of(expr)) not in (ValueType.SCALAR, ValueType.VECTOR):
                    self._fail(
                        "unary expression only allowed on expressions of type scalar or instant vector, got "
                        + quoted(found.documented),
                        node.span,
                    )
                return msgspec.structs.replace(node, expr=expr)
            case ast.SubqueryExpr():
                expr = self.visit(node.expr)
                if (found := type_of(expr)) is not ValueType.VECTOR:
                    self._fail(f"subquery is only allowed on instant vector, got {found} instead", node.span)
                return msgspec.structs.replace(node, expr=expr)
            case ast.MatrixSelector():
                self._selector(node.selector)
                return node
            case ast.VectorSelector():
                self._selector(node)
                return node
            case _:
                return node

    def _expect(self, node: Expr, wanted: ValueType, context: str) -> Expr:
        checked = self.visit(node)
        if (found := type_of(checked)) is not wanted:
            self._fail(f"expected type {wanted.documented} in {context}, got {found.documented}", node.span)
        return checked

    def _aggregate(self, node: ast.AggregateExpr) -> Expr:
        expr = self._expect(node.expr, ValueType.VECTOR, "aggregation expression")
        param = node.param
        if param is not None:
            wanted = ValueType.STRING if node.op == "count_values" else ValueType.SCALAR
            param = self._expect(param, wanted, "aggregation parameter")
        return msgspec.structs.replace(node, expr=expr, param=param)

    # -- operators

    def _binary(self, node: ast.BinaryExpr) -> Expr:
        left, right = self.visit(node.left), self.visit(node.right)
        kinds = (type_of(left), type_of(right))
        matching = node.matching or ast.VectorMatching()
        self._modifiers(node, kinds, matching)
        for side, kind in ((left, kinds[0]), (right, kinds[1])):
            if kind not in (ValueType.SCALAR, ValueType.VECTOR):
                self._fail("binary expression must contain only scalar and instant vector types", side.span)
        fills = matching.fill_left is not None or matching.fill_right is not None
        if kinds != (ValueType.VECTOR, ValueType.VECTOR):
            if matching.labels:
                self._fail("vector matching only allowed between instant vectors", node.span)
            if fills:
                self._fail("filling in missing series only allowed between instant vectors", node.span)
            if node.op in ast.SET_OPERATORS:
                self._fail(
                    f"set operator {quoted(node.op)} not allowed in binary scalar expression", node.span
                )
            return msgspec.structs.replace(node, left=left, right=right, matching=None)
        if node.op in ast.SET_OPERATORS:
            if matching.card is not Cardinality.ONE_TO_ONE:
                self._fail(f"no grouping allowed for {quoted(node.op)} operation", node.span)
            if fills:
                self._fail("filling in missing series not allowed for set operators", node.span)
            matching = msgspec.structs.replace(matching, card=Cardinality.MANY_TO_MANY)
        return msgspec.structs.replace(node, left=left, right=right, matching=matching)

    def _modifiers(
        self, node: ast.BinaryExpr, kinds: tuple[ValueType, ValueType], matching: ast.VectorMatching
    ) -> None:
        compares = node.op in ast.COMPARISONS
        if node.return_bool and not compares:
            self._fail("bool modifier can only be used on comparison operators", self._operator_span(node))
        if compares and not node.return_bool and kinds == (ValueType.SCALAR, ValueType.SCALAR):
            self._fail("comparisons between scalars must use BOOL modifier", self._operator_span(node))
        for label in matching.labels:
            if matching.on and label in matching.include:
                self._fail(
                    f"label {quoted(label)} must not occur in ON and GROUP clause at once",
                    self._operator_span(node),
                )

    def _operator_span(self, node: ast.BinaryExpr) -> Span:
        between = self._query[node.left.span.end : node.right.span.start]
        start = node.left.span.end + len(between) - len(between.lstrip())
        return Span(start, node.right.span.start - (len(between) - len(between.rstrip())))

    # -- calls

    def _call(self, node: ast.Call) -> Expr:
        signature = FUNCTIONS[node.func]
        name, wanted, given = quoted(node.func), len(signature.args), len(node.args)
        if not signature.variadic:
            if wanted != given:
                self._fail(f"expected {wanted} argument(s) in call to {name}, got {given}", node.span)
        elif wanted - 1 > given:
            self._fail(
                f"expected at least {wanted - 1} argument(s) in call to {name}, got {given}", node.span
            )
        elif 0 < signature.variadic < given - (wanted - 1):
            most = wanted - 1 + signature.variadic
            self._fail(f"expected at most {most} argument(s) in call to {name}, got {given}", node.span)
        if node.func == "info" and given > 1:
            self._info(node)
        args = []
        for place, arg in enumerate(node.args):
            wanted_type = signature.args[min(place, wanted - 1)]
            skip = node.func == "info" and place == 1
            args.append(arg if skip else self._expect(arg, wanted_type, f"call to function {name}"))
        return msgspec.structs.replace(node, args=tuple(args))

    def _info(self, node: ast.Call) -> None:
        """Its second argument is only matchers, which may all match the empty string."""
        selector = node.args[1]
        found = type_of(selector)
        if found is not ValueType.VECTOR:
            self._fail(
                f"expected type instant vector in call to function {quoted('info')}, got {found.documented}",
                node.span,
            )
        if not isinstance(selector, ast.VectorSelector):
            self._fail("expected label selectors only", selector.span)
        elif selector.name:
            self._fail("expected label selectors only, got vector selector instead", selector.span)

    # -- selectors

    def _selector(self, node: ast.VectorSelector) -> None:
        if node.name:
            for matcher in node.matchers[:-1]:
                if matcher.name == "__name__":
                    self._fail(
                        f"metric name must not be set twice: {quoted(node.name)} or {quoted(matcher.value)}",
                        node.span,
                    )
        elif all(matches(matcher, "") for matcher in node.matchers):
            self._fail("vector selector must contain at least one non-empty matcher", node.span)


def matches(matcher: Matcher, value: str) -> bool:
    """Whether a matcher takes a value; expressions are RE2's, anchored, and a dot takes a newline."""
    if matcher.op == "=":
        return value == matcher.value
    if matcher.op == "!=":
        return value != matcher.value
    options = re2.Options()
    options.log_errors = False
    options.dot_nl = True
    found = re2.fullmatch(matcher.value, value, options) is not None
    return found if matcher.op == "=~" else not found
