from app.discovery.last_good import SETTLED_AFTER, FileList, Reading, judge
from app.discovery.targets import TargetList

OLD, NEW = (1, 1, 1, 1), (2, 2, 1, 1)
GOOD = FileList(OLD, ("a:1", "b:1"))
TYPO = TargetList(("a:1",), ("'b' has no port",))


def test_a_good_reading_is_taken() -> None:
    assert judge(GOOD, Reading(NEW, TargetList(("c:1",))), 0) == FileList(NEW, ("c:1",))
    assert judge(GOOD, Reading(NEW, TargetList(())), 0).addresses == ()


def test_a_broken_one_keeps_the_last_good_list_until_it_is_mended() -> None:
    broken = judge(GOOD, Reading(NEW, None, "cut short"), 0)
    assert (broken.addresses, broken.error, broken.settled) == (("a:1", "b:1"), "cut short", False)
    assert judge(broken, Reading(NEW, TargetList(("c:1",))), 1) == FileList(NEW, ("c:1",))


def test_without_a_last_good_list_there_is_none() -> None:
    broken = judge(None, Reading(NEW, None, "no permission"), 0)
    assert (broken.addresses, broken.error) == (None, "no permission")


def test_a_new_file_is_used_without_its_faults() -> None:
    first = judge(None, Reading(NEW, TYPO), 0)
    assert (first.addresses, first.error, first.faults) == (("a:1",), "", TYPO.faults)
    assert first.settled


def test_faults_that_just_appeared_are_taken_for_a_half_written_file() -> None:
    doubted = judge(GOOD, Reading(NEW, TYPO), 10)
    assert (doubted.addresses, doubted.settled) == (("a:1", "b:1"), False)
    assert "no port" in doubted.error
    still = judge(doubted, Reading(NEW, TYPO), 10 + SETTLED_AFTER / 2)
    assert still.addresses == ("a:1", "b:1")
    finished = judge(still, Reading(NEW, TargetList(("a:1", "b:2"))), 11)
    assert finished == FileList(NEW, ("a:1", "b:2"))


def test_faults_that_stay_are_what_the_operator_meant() -> None:
    doubted = judge(GOOD, Reading(NEW, TYPO), 10)
    taken = judge(doubted, Reading(NEW, TYPO), 10 + SETTLED_AFTER)
    assert (taken.addresses, taken.error, taken.faults) == (("a:1",), "", TYPO.faults)


def test_the_time_starts_again_with_other_faults() -> None:
    doubted = judge(GOOD, Reading(NEW, TYPO), 10)
    other = TargetList(("a:1",), ("'bb' has no port",))
    assert judge(doubted, Reading(NEW, other), 20).addresses == ("a:1", "b:1")


def test_faults_that_were_tolerated_do_not_hold_up_an_update() -> None:
    tolerated = judge(None, Reading(OLD, TYPO), 0)
    update = TargetList(("a:1", "c:1"), TYPO.faults)
    assert judge(tolerated, Reading(NEW, update), 1).addresses == ("a:1", "c:1")
