"""P5: who is held out depends on id and salt alone."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from schemas.policies import SplitPolicy
from trainer.matrix.split import Part, positions, split

POLICY = SplitPolicy(holdout_share=0.2, dev_share=0.1)


@given(st.lists(st.text(min_size=1), unique=True, max_size=30))
def test_a_user_s_part_does_not_depend_on_the_others(keys: list[str]) -> None:
    together = split(POLICY, keys)
    assert together.tolist() == [int(split(POLICY, [key])[0]) for key in keys]


def test_the_parts_have_their_shares() -> None:
    parts = split(POLICY, [f"user-{number}" for number in range(20_000)])
    shares = np.bincount(parts, minlength=3) / len(parts)
    np.testing.assert_allclose(shares, [0.7, 0.1, 0.2], atol=0.01)


def test_the_split_is_the_same_in_every_release() -> None:
    """These positions are in models that are registered; a change here would train on held-out users."""
    np.testing.assert_allclose(positions("retrainer-1", ["u1", "u2"]), [0.105484854, 0.838510167], atol=1e-9)


def test_growing_the_holdout_keeps_its_users_and_another_salt_does_not() -> None:
    keys = [f"user-{number}" for number in range(2000)]
    small, large = split(POLICY, keys), split(POLICY.model_copy(update={"holdout_share": 0.4}), keys)
    assert ((small == Part.HOLDOUT) <= (large == Part.HOLDOUT)).all()
    salted = split(POLICY.model_copy(update={"salt": "retrainer-2"}), keys)
    assert 0.1 < (small == salted).mean() < 0.8
