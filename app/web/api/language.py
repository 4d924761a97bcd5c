"""`/format_query` and `/parse_query`: what a query is, without an answer to it."""

from app.engine.promql.ast import Expr
from app.engine.promql.errors import ParseError
from app.engine.promql.features import Features
from app.engine.promql.parser import parse
from app.engine.promql.printer import pretty
from app.web.api.envelope import Result, result_of
from app.web.api.errors import bad_data
from app.web.api.handling import Call
from app.web.api.tree import tree


class Language:
    """Immutable.

    :param features: parts of the language that are switched on.
    """

    def __init__(self, features: Features) -> None:
        self._features = features

    async def formatted(self, call: Call) -> Result:
        """The query as it is best read."""
        return result_of(pretty(self._parsed(call)))

    async def parsed(self, call: Call) -> Result:
        """Its syntax tree."""
        return result_of(tree(self._parsed(call)))

    def _parsed(self, call: Call) -> Expr:
        try:
            return parse(call.form.get("query"), self._features)
        except ParseError as error:
            raise bad_data(f'invalid parameter "query": {error}') from None
