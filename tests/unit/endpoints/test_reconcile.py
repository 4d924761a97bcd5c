from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.config.model import EndpointGroup, Mode, TlsConfig
from app.endpoints.reconcile import reconcile

EU = EndpointGroup(name="eu", tls=TlsConfig(ca_file="eu.pem"), endpoints=("h:1",))
US = EndpointGroup(name="us", tls=TlsConfig(ca_file="us.pem"), endpoints=("h:2",))


def renamed(group: EndpointGroup, name: str) -> EndpointGroup:
    return msgspec.structs.replace(group, name=name)


def test_nothing_changes() -> None:
    plan = reconcile({"eu": EU, "us": US}, [US, EU])
    assert (plan.kept, plan.stopped, plan.started) == ((("us", US), ("eu", EU)), (), ())


def test_one_comes_and_one_goes() -> None:
    plan = reconcile({"eu": EU}, [US])
    assert (plan.kept, plan.stopped, plan.started) == ((), ("eu",), (US,))


def test_other_endpoints_are_applied_to_the_running_group() -> None:
    more = msgspec.structs.replace(EU, endpoints=("h:1", "h:3"), mode=Mode.STRICT)
    assert reconcile({"eu": EU}, [more]).kept == (("eu", more),)


def test_other_tls_is_another_group() -> None:
    plaintext = msgspec.structs.replace(EU, tls=None)
    plan = reconcile({"eu": EU}, [plaintext])
    assert (plan.kept, plan.stopped, plan.started) == ((), ("eu",), (plaintext,))


def test_an_item_put_before_the_unnamed_ones_leaves_them_alone() -> None:
    running = {"group-1": renamed(EU, "group-1"), "group-2": renamed(US, "group-2")}
    new = EndpointGroup(name="group-1", endpoints=("h:9",))
    wanted = [new, renamed(EU, "group-2"), renamed(US, "group-3")]
    plan = reconcile(running, wanted)
    assert plan.kept == (("group-1", wanted[1]), ("group-2", wanted[2]))
    assert (plan.stopped, plan.started) == ((), (new,))


def test_groups_of_equal_content_keep_to_their_names() -> None:
    empty = EndpointGroup(name="a")
    running = {"a": empty, "b": renamed(empty, "b")}
    assert reconcile(running, [renamed(empty, "b"), empty]).kept == (("b", renamed(empty, "b")), ("a", empty))


def test_another_name_and_more_endpoints_is_the_same_group() -> None:
    more = msgspec.structs.replace(EU, name="europe", endpoints=("h:1", "h:3"))
    assert reconcile({"eu": EU}, [more]).kept == (("eu", more),)
    others = msgspec.structs.replace(EU, name="europe", endpoints=("h:3",))
    assert reconcile({"eu": EU}, [others]).started == (others,)


@pytest.mark.parametrize("change", [{"compression": "snappy"}, {"balanced": frozenset({"h:1"})}])
def test_channels_that_must_be_made_otherwise_are_another_group(change: dict[str, Any]) -> None:
    changed = msgspec.structs.replace(EU, **change)
    plan = reconcile({"eu": EU}, [changed])
    assert (plan.stopped, plan.started) == (("eu",), (changed,))


def test_a_thousand_groups_that_all_move_up_by_one() -> None:
    running = [renamed(EU, f"group-{number}") for number in range(1, 1001)]
    running = [
        msgspec.structs.replace(each, endpoints=(f"h:{number}",))
        for number, each in enumerate(running, start=1)
    ]
    new = EndpointGroup(name="group-1", endpoints=("new:1",))
    wanted = [new, *(renamed(each, f"group-{number}") for number, each in enumerate(running, start=2))]
    plan = reconcile({group.name: group for group in running}, wanted)
    assert (plan.stopped, plan.started) == ((), (new,))
    assert len(plan.kept) == 1000


GROUPS = st.lists(
    st.builds(
        EndpointGroup,
        name=st.sampled_from("abcdef"),
        tls=st.sampled_from([None, TlsConfig(ca_file="1"), TlsConfig(ca_file="2")]),
        endpoints=st.sampled_from([(), ("h:1",), ("h:2",)]),
    ),
    unique_by=lambda group: group.name,
)


@given(GROUPS, GROUPS)
def test_the_plan_leads_from_what_runs_to_what_is_wanted(
    running: list[EndpointGroup], wanted: list[EndpointGroup]
) -> None:
    by_name = {group.name: group for group in running}
    plan = reconcile(by_name, wanted)
    kept = [name for name, _ in plan.kept]
    assert sorted([*kept, *plan.stopped]) == sorted(by_name)
    become = [group for _, group in plan.kept]
    assert sorted(group.name for group in [*become, *plan.started]) == sorted(each.name for each in wanted)
    assert all(by_name[name].tls == group.tls for name, group in plan.kept)
    again = reconcile({group.name: group for group in wanted}, wanted)
    assert (again.stopped, again.started) == ((), ())
