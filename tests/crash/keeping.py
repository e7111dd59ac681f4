"""Rules of the checker about what the champion's space keeps: matrix, pairs and labels are what the stores ask for."""

from __future__ import annotations

from tests.crash.evidence import Evidence
from tests.crash.finding import Found


def _the_space_is_there(evidence: Evidence) -> Found:
    if evidence.no_space:
        yield "wrong", "the champion's space cannot be opened, so neither matrix nor pairs can be compared"


def _the_matrix_holds_what_the_store_holds(evidence: Evidence) -> Found:
    """But for users who are pending, who may have changed since."""
    if not evidence.promoted:
        return
    waiting = {one.key for one in evidence.waiting}
    for user in sorted((evidence.stored_rows.keys() | evidence.matrix_rows.keys()) - waiting):
        stored, held = evidence.stored_rows.get(user), evidence.matrix_rows.get(user)
        if stored != held:
            how = "lacks" if held is None else "still has" if stored is None else "has an old row of"
            yield "lost", f"the user matrix {how} {user}"


def _the_pairs_are_those_of_their_definition(evidence: Evidence) -> Found:
    for pair in sorted(evidence.defined_pairs - evidence.pairs):
        yield "wrong", f"the graph lacks the pair {pair}"
    for pair in sorted(evidence.pairs - evidence.defined_pairs):
        yield "wrong", f"the graph has the pair {pair}, which is none"


def _the_label_book_holds_what_the_label_group_holds(evidence: Evidence) -> Found:
    """But for labels that are pending, as of the matrix; also those of users who are not there."""
    if not evidence.promoted:
        return
    waiting = {one.key for one in evidence.waiting}
    for label in sorted((evidence.stored_labels.keys() | evidence.book_labels.keys()) - waiting):
        stored, held = evidence.stored_labels.get(label), evidence.book_labels.get(label)
        if stored != held:
            how = "lacks" if held is None else "still has" if stored is None else "has an old word of"
            yield "lost", f"the label book {how} {label}"


KEPT = (
    _the_space_is_there,
    _the_matrix_holds_what_the_store_holds,
    _the_pairs_are_those_of_their_definition,
    _the_label_book_holds_what_the_label_group_holds,
)
