"""Shapes of tensors, checked where a function takes them in: a wrong one is named, and not broadcast into a wrong sum.

Inside `tf.function` the check runs while the function is traced, on what is known of the shapes then; no step waits for
it. A size that is not known yet fits any other.
"""

from __future__ import annotations

from typing import Any, Protocol


class Tensor(Protocol):
    """What a loss needs of a tensor. TensorFlow's tensors have it, and so have NumPy's arrays."""

    @property
    def shape(self) -> Any:
        """Sizes, None where one is not known."""

    def __float__(self) -> float: ...
    def __add__(self, other: Any, /) -> Any: ...
    def __radd__(self, other: Any, /) -> Any: ...
    def __sub__(self, other: Any, /) -> Any: ...
    def __rsub__(self, other: Any, /) -> Any: ...
    def __mul__(self, other: Any, /) -> Any: ...
    def __rmul__(self, other: Any, /) -> Any: ...
    def __truediv__(self, other: Any, /) -> Any: ...
    def __gt__(self, other: Any, /) -> Any: ...
    def __ge__(self, other: Any, /) -> Any: ...
    def __getitem__(self, key: Any, /) -> Any: ...


def check_shapes(**arguments: tuple[Tensor, tuple[str, ...]]) -> None:
    """Check each argument, by its name, against the names of its sizes: equal names are equal sizes.

    Args:
        arguments: the tensor and its shape, such as `cosine=(cosine, ("batch", "batch"))`.

    Raises:
        ValueError: an argument has another rank, or a size that an earlier one, or the argument itself, has otherwise.
    """
    sizes: dict[str, tuple[int, str]] = {}
    for name, (tensor, wanted) in arguments.items():
        found = _sizes(tensor)
        if found is None:
            continue
        if len(found) != len(wanted):
            raise ValueError(f"`{name}` must have rank {len(wanted)}, {_shown(wanted)}; found shape {_shown(found)}")
        for size, of in zip(found, wanted, strict=True):
            if size is None:
                continue
            known, owner = sizes.setdefault(of, (size, name))
            if known != size:
                raise ValueError(
                    f"`{name}` must have shape {_shown(wanted)} with {of} = {known}, as `{owner}` has; "
                    f"found shape {_shown(found)}"
                )


def _sizes(tensor: Tensor) -> tuple[int | None, ...] | None:
    """The sizes of a tensor; None where not even its rank is known."""
    try:
        return tuple(tensor.shape)
    except ValueError:  # TensorFlow's answer for a shape without a rank
        return None


def _shown(sizes: tuple[object, ...]) -> str:
    shown = ", ".join("?" if size is None else str(size) for size in sizes)
    return f"({shown},)" if len(sizes) == 1 else f"({shown})"
