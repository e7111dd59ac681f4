"""Which tests show which promise. `make test` must have them; others that show it too run in `make test-all`.

A promise that is new, or a room that is, joins here together with its first test.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType


def _told(test: str, *more: str) -> Sequence[str]:
    """By both stories, that is on an Apache Kafka, a PostgreSQL, trainer processes, and the double; and elsewhere."""
    return [*(f"tests/promises/test_promises.py::{test}[{place}]" for place in ("local", "hopsworks")), *more]


PATHS: Mapping[str, Sequence[str]] = MappingProxyType(
    {
        "P1 nothing lost": _told(
            "test_p1_every_event_is_covered_by_one_version_and_nobody_is_left_waiting",
            "tests/integration/kafka/test_listener.py::test_every_event_is_stored_once_and_counted[kafka]",
            "tests/contract/test_ledger_history.py::test_nobody_is_lost_whatever_the_history[postgresql-15]",
        ),
        "P2 nothing twice": _told(
            "test_p2_a_cycle_that_died_before_anybody_knew_of_its_version_has_that_one",
            "tests/contract/test_model_registry.py::test_a_cycle_registers_one_version_however_often_it_tries[local]",
            "tests/contract/test_model_registry.py::test_a_cycle_registers_one_version_however_often_it_tries[hopsworks]",
        ),
        "P3 incremental equals full": _told(
            "test_p3_rows_and_pairs_are_those_of_a_fresh_start",
            "tests/models/pairs/test_graph.py::test_incremental_equals_full",
        ),
        "P3 of labels": _told(
            "test_p3_labels_are_those_of_a_full_read",
            "tests/models/test_label_cycle.py::test_after_changes_the_book_is_what_a_full_read_gives",
        ),
        "P4 no version worse than the one before": _told(
            "test_p4_a_follower_is_measured_beside_the_version_before_it",
            "tests/models/test_cycle.py::test_a_worse_challenger_is_rejected_and_nothing_is_registered",
            "tests/models/gate/test_gate.py::test_a_certain_loss_is_refused_whatever_its_size",
            "tests/models/gate/test_gate.py::test_small_losses_do_not_add_up",
        ),
        "P5 held-out users are never trained on": _told(
            "test_p5_held_out_users_are_not_among_those_that_it_learned",
            "tests/models/test_cycle.py::test_scaling_is_learned_from_users_who_may_be_trained_on",
        ),
        "P5 of labels": _told("test_p5_a_label_is_held_out_when_either_end_is"),
        "P6 the listener never stops polling": _told(
            "test_p6_while_a_trainer_stands_still_the_listener_reads_on_and_stays_in_its_group",
            "tests/integration/kafka/test_listener.py::test_a_ledger_that_refuses_loses_nothing_and_the_group_is_not_left[kafka]",
        ),
        "P7 what is served is what was trained": _told(
            "test_p7_what_was_registered_loads_in_a_bare_python_and_scores_raw_rows",
        ),
        "P8 every decision is on record": _told(
            "test_p8_why_and_what_is_on_record_in_ledger_registry_and_log",
        ),
        "P9 what should not be believed is not learned": _told(
            "test_p9_a_row_that_cannot_be_believed_is_refused_with_its_reason_and_not_learned",
            "tests/models/test_guard_cycle.py::test_half_of_the_rows_gone_bad_are_held_as_often_as_they_are_tried",
        ),
        "P10 what is served together belongs together": _told(
            "test_p10_queries_meet_their_own_candidates_and_no_others_unnoticed",
            "tests/unit/stores/vectors/test_together.py::test_two_origins_meet_only_with_the_same_towers_or_a_figure",
            "tests/unit/stores/vectors/test_sets.py::test_a_query_meets_its_own_version_alone",
            "tests/models/vectors/test_export.py::test_readers_never_see_half_a_switch",
        ),
    }
)
