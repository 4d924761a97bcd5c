"""`match[]` and `storeMatch[]`: selectors as the endpoints are asked with them. Pure."""

from collections.abc import Sequence

from app.engine.promql.parser import parse_selector
from app.engine.select import fetch as select
from app.engine.select.asking import label_matchers
from app.fanout import selection
from app.pb.thanos import LabelMatcher
from app.web.api.errors import bad_data
from app.web.api.form import Form
from app.web.api.tenancy import Tenant

MATCH = "match[]"
STORE_MATCH = "storeMatch[]"
MOST = 1000
"""Selectors of one request."""


def match_sets(form: Form, tenant: Tenant) -> list[list[LabelMatcher]]:
    """The sets of matchers of `match[]`, of which any may match; none: everything may.

    :raises ParseError: one is no selector.
    """
    texts = _texts(form, MATCH)
    sets = [tenant.narrowed(parse_selector(text)) for text in texts]
    if not sets and tenant.enforced is not None:
        sets = [tenant.narrowed(())]
    return [label_matchers(matchers) for matchers in sets]


def store_matchers(form: Form) -> tuple[selection.StoreMatchers, ...]:
    """The sets of matchers of `storeMatch[]`, ready to be asked.

    :raises ParseError: one is no selector.
    """
    return select.store_matchers(_texts(form, STORE_MATCH))


def store_match_texts(form: Form) -> tuple[str, ...]:
    """`storeMatch[]` as it is written, each known to be a selector."""
    store_matchers(form)
    return form.all(STORE_MATCH)


def _texts(form: Form, name: str) -> Sequence[str]:
    texts = form.all(name)
    if len(texts) > MOST:
        raise bad_data(f"more than {MOST} {name} parameters")
    return texts
