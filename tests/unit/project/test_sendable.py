"""A run with several workers hears of every test, whatever text the test had in hands."""

from __future__ import annotations

import warnings

import execnet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hostile import HOSTILE
from tests.sendable import sendable

TEXTS = st.text(st.characters(codec=None))


@given(
    st.recursive(
        TEXTS | st.integers(0, 9), lambda told: st.lists(told) | st.dictionaries(TEXTS, told) | st.tuples(told)
    )
)
def test_anything_can_be_sent_when_its_texts_can(told: object) -> None:
    assert execnet.loads(execnet.dumps(sendable(told))) == sendable(told)


@given(st.text())
def test_a_text_that_can_be_sent_is_left_as_it_is(text: str) -> None:
    assert sendable({text: [(text, 1)]}) == {text: [(text, 1)]}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_what_a_test_logged_and_said_when_it_failed_is_sent(text: str, request: pytest.FixtureRequest) -> None:
    report = pytest.TestReport(
        nodeid="tests/a.py::b",
        location=("tests/a.py", 1, "b"),
        keywords={text: 1},
        outcome="failed",
        longrepr=f"AssertionError: {text}",
        when="call",
        sections=[("Captured log call", text)],
        user_properties=[("read", text)],
    )
    told = request.config.hook.pytest_report_to_serializable(config=request.config, report=report)
    assert execnet.loads(execnet.dumps(told))["sections"] == sendable(report.sections)


def test_a_warning_is_sent(request: pytest.FixtureRequest) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.warn(HOSTILE["half a pair"], DeprecationWarning, stacklevel=1)
    registered = request.config.pluginmanager.get_plugin("sendable")
    assert registered is not None, "tests/conftest.py does not register it"
    registered.pytest_warning_recorded(caught[0])
    assert str(caught[0].message) == r"\udc80\ud83d"
    assert isinstance(caught[0].message, DeprecationWarning)
