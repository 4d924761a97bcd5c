from app.engine.prepare import restricted
from app.engine.promql.ast import Matcher
from app.engine.promql.features import ALL_FEATURES
from app.engine.promql.parser import parse
from app.engine.promql.printer import text

EU = (Matcher("=~", "realm", "eu|us"),)


def test_a_tenants_matcher_stands_in_for_others_on_its_label() -> None:
    found = text(restricted(parse('rate(up{realm="us", a="b"}[5m]) + sum(down)'), EU))
    assert found == 'rate(up{a="b",realm=~"eu|us"}[5m]) + sum(down{realm=~"eu|us"})'


def test_what_an_identity_may_see_narrows_what_is_asked() -> None:
    found = text(restricted(parse('up{realm="us"} or info(x{a="b"})', ALL_FEATURES), EU, beside=True))
    assert found.count('realm=~"eu|us"') == 3
    assert found.count('realm="us"') == 1
