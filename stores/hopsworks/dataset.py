"""Files and folders of the project, with a strict answer to whether something is there.

The SDK's own `exists` says no to every error, even to an expired key or a server that is down. Here something counts as
absent only where Hopsworks says so; everything else is raised as an error of ours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stores.errors import ClusterError, NotThere
from stores.hopsworks.session import Session

_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Node:
    """A file or a folder. The size of a file is None where the cluster does not say it."""

    name: str
    folder: bool
    size: int | None


class Dataset:
    """Looks at files and folders, makes, removes and downloads them. Paths begin with `/Projects/<project>/`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def stat(self, path: str) -> Node | None:
        """The file or folder at a path; None where there is nothing.

        Raises:
            ClusterError: the cluster does not say whether something is there.
        """
        return self._session.ask(f"look at {path}", lambda: self._stat(path))

    def children(self, path: str) -> list[Node] | None:
        """The content of a folder; None where there is no such folder.

        Raises:
            ClusterError: the cluster does not say.
        """
        what = f"list {path}"
        try:
            return self._session.ask(what, lambda: self._children(path))
        except NotThere:
            return None

    def make(self, path: str) -> None:
        """Make a folder at a path whose parent is there; a folder that is there already is fine.

        Raises:
            ClusterError: the folder could not be made.
        """
        what = f"make the folder {path}"

        def attempt() -> None:
            try:
                self._session.once(what, lambda: self._api.mkdir(path))
            except ClusterError:
                found = self._stat(path)
                if found is None or not found.folder:
                    raise

        self._session.ask(what, attempt)

    def remove(self, path: str, marker: str, spare: Callable[[], bool] = lambda: False) -> bool:
        """Remove a folder with its content, if the path `marker` is there and `spare` does not say that it stays.

        Both are checked before every try: where the answer of a try was lost, the folder may be another writer's by
        the next one.

        Returns:
            Whether the folder is gone.

        Raises:
            ClusterError: the folder is not known to be gone.
        """
        what = f"remove {path}"

        def attempt() -> bool:
            if self._stat(marker) is None:
                return True
            if spare():
                return False
            try:
                self._session.once(what, lambda: self._api.remove(path))
            except ClusterError:
                if self._stat(path) is not None:
                    raise
            return True

        return self._session.ask(what, attempt)

    def download(self, path: str, to: Path) -> None:
        """Write a file of the project to `to`; a file that is there is replaced.

        Raises:
            NotThere: there is no such file.
            ClusterError: it could not be read to its end.
        """
        self._session.ask(f"download {path}", lambda: self._api.download(path, str(to), overwrite=True))

    def _stat(self, path: str) -> Node | None:
        try:
            return _node(self._session.once(f"look at {path}", lambda: self._api.get(path)))
        except NotThere:
            return None

    def _children(self, path: str) -> list[Node]:
        found: list[Node] = []
        while True:
            # The public `list` gives names only; this private method gives the whole answer, with sizes.
            count, items = self._api._list_dataset_path(
                path, _AsItIs, offset=len(found), limit=_PAGE, sort_by="NAME:asc"
            )
            found += [_node(item) for item in items]
            if not items or (len(found) >= count and len(items) < _PAGE):
                return found

    @property
    def _api(self) -> Any:
        return self._session.project.get_dataset_api()


class _AsItIs:
    """Takes the place of the SDK's class that turns an answer into objects, and that drops the sizes."""

    @staticmethod
    def from_response_json(answer: dict[str, Any]) -> Any:
        return answer.get("items") or []


def _node(item: dict[str, Any]) -> Node:
    attributes = item["attributes"]
    size = attributes.get("size")
    path = str(attributes.get("path") or attributes.get("name") or "")
    return Node(path.rstrip("/").rpartition("/")[2], bool(attributes.get("dir")), None if size is None else int(size))
