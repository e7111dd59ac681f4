"""Who counts as a stranger in our consumer group."""

from __future__ import annotations

from kafka.coordinator.assignors.range import RangePartitionAssignor

from consumer.kafka.group import Member, Membership, in_words
from consumer.neighbours import Suspicion

OURS, THEIRS = "0" * 32, "1" * 32
OWN = Membership(OURS, "a")


def member(client_id: str, *topics: str, number: str = "1") -> Member:
    return Member(f"{client_id}-{number}", client_id, "/10.0.0.7", frozenset(topics))


def of(ledger: str, instance: str, *topics: str) -> Member:
    return member(Membership(ledger, instance).client_id, *(topics or ("t",)))


def test_instances_of_our_ledger_are_no_strangers() -> None:
    suspicion = Suspicion(OWN, ("t",))
    for _ in range(3):
        assert suspicion.found([of(OURS, "a"), of(OURS, "b")], {"b"}) == []


def test_one_on_another_ledger_and_one_of_another_kind_are_at_once() -> None:
    others = [of(THEIRS, "a"), member("console-consumer", "u", "t")]
    assert Suspicion(OWN, ("t",)).found([of(OURS, "a"), *others], set()) == others
    assert Suspicion(OWN, ("t",)).found([of(OURS, "a"), *others], None) == others


def test_whoever_reads_other_topics_is_none_of_our_business_but_who_does_not_say_what_it_reads_is() -> None:
    unknown = Member("m", "c", "/h", None)
    assert Suspicion(OWN, ("t", "labels")).found([member("c", "u"), member("c"), unknown], set()) == [unknown]
    label_reader = member("c", "labels")
    assert Suspicion(OWN, ("t", "labels")).found([label_reader], set()) == [label_reader]


def test_one_that_says_it_is_ours_and_is_not_heard_is_a_stranger_at_the_second_look() -> None:
    """It is on a copy of our ledger, or cannot reach it; or it has just started, and its first word is on its way."""
    suspicion, silent = Suspicion(OWN, ("t",)), of(OURS, "b")
    assert suspicion.found([silent], set()) == []
    assert suspicion.found([silent], set()) == [silent]
    assert suspicion.found([silent], {"b"}) == []
    assert suspicion.found([silent], set()) == []


def test_while_the_ledger_does_not_tell_nobody_of_ours_is_suspected() -> None:
    suspicion, silent = Suspicion(OWN, ("t",)), of(OURS, "b")
    assert suspicion.found([silent], set()) == []
    for _ in range(3):
        assert suspicion.found([silent], None) == []
    assert suspicion.found([silent], set()) == []


def test_the_words_name_who_is_there_and_the_way_out() -> None:
    one = in_words([of(THEIRS, "a")], "g")
    assert one.startswith("in the consumer group g, retrainer-11111111-a at 10.0.0.7 is no instance of this ledger")
    assert "a?[31m?b at" in in_words([member("a\x1b[31m\nb", "t")], "g")
    many = in_words([member(f"c{number}", "t") for number in range(5)], "g")
    assert "c0 at 10.0.0.7, c1 at 10.0.0.7, c2 at 10.0.0.7 and 2 more are no instances" in many


def test_members_on_two_ledgers_share_no_way_to_assign_partitions() -> None:
    ours, theirs = (
        {assignor.name for assignor in Membership(ledger, "a").assignors([RangePartitionAssignor])}  # type: ignore[attr-defined]
        for ledger in (OURS, THEIRS)
    )
    assert ours == {"range-00000000"}
    assert ours.isdisjoint(theirs)
