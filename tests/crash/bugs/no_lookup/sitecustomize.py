"""Planted bug: a trainer registers without asking whether its cycle has a version already."""

import sys

if sys.orig_argv[-1] == "trainer":
    from stores.registry.local import LocalModelRegistry

    def found_nothing(_self: LocalModelRegistry, _cycle_id: str) -> None:
        return None

    LocalModelRegistry.find = found_nothing  # type: ignore[method-assign,assignment]
