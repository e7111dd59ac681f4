"""The project's datasets: folders and files, uploaded in chunks that come in any order."""

from __future__ import annotations

import threading

from tests.hopsworks_double.cluster import Cluster
from tests.hopsworks_double.control.metadata import Json
from tests.hopsworks_double.control.plane import ControlPlane
from tests.hopsworks_double.https.server import ApiCall, ApiError, Reply

PATH_NOT_FOUND = 110018
PATH_EXISTS = 110014
BAD_OPERATION = 110001


class FileSystem:
    """Paths start with `/Projects/<project>`; requests may leave that out."""

    def __init__(self, cluster: Cluster, control: ControlPlane) -> None:
        self._root = f"/Projects/{cluster.spec.project}"
        self.lock = threading.RLock()
        self.dirs = {self._root, self.path("Models"), self.path("Resources")}
        self.files: dict[str, bytes] = {}
        self._chunks: dict[tuple[str, str], dict[int, bytes]] = {}
        add, datasets = control.router.add, f"{control.project}/dataset"
        add("POST", f"{datasets}/upload/{{path*}}", self._upload)
        add("GET", f"{datasets}/download/with_auth/{{path*}}", self._download)
        add("GET", f"{datasets}/{{path*}}", self._get)
        add("POST", f"{datasets}/{{path*}}", self._create)
        add("DELETE", f"{datasets}/{{path*}}", self._delete)

    def path(self, asked: str) -> str:
        """The full path of what a request calls `asked`."""
        path = "/" + asked.strip("/")
        return path if path == self._root or path.startswith(self._root + "/") else self._root + path

    def remove(self, path: str) -> None:
        """Remove a file, or a folder with all in it."""
        with self.lock:
            if path not in self.dirs and path not in self.files:
                raise ApiError(400, PATH_NOT_FOUND, "Path not found")
            self.dirs -= {known for known in self.dirs if (known + "/").startswith(path + "/")}
            for known in [known for known in self.files if (known + "/").startswith(path + "/")]:
                del self.files[known]

    def _stat(self, path: str) -> Json:
        if path not in self.dirs and path not in self.files:
            raise ApiError(400, PATH_NOT_FOUND, "Path not found")
        is_dir = path in self.dirs
        attributes = {
            "name": path.rsplit("/", 1)[1],
            "path": path,
            "dir": is_dir,
            "size": 0 if is_dir else len(self.files[path]),
        }
        # Only what lies directly in the project is a dataset of its own.
        dataset = {"datasetType": "DATASET", "id": 1} if path.count("/") == self._root.count("/") + 1 else {}
        return {"attributes": attributes, **dataset}

    def _get(self, call: ApiCall) -> Reply:
        path = self.path(call.parts["path"])
        with self.lock:
            stat = self._stat(path)
            if call.argument("action") != "listing":
                return Reply(200, stat)
            children = [known for known in [*self.dirs, *self.files] if known.rsplit("/", 1)[0] == path]
            children.sort(reverse=call.argument("sort_by").lower().endswith(":desc"))
            offset, limit = int(call.argument("offset", "0")), int(call.argument("limit", "1000"))
            page = children[offset : offset + limit]
            return Reply(200, {"count": len(children), "items": [self._stat(child) for child in page]})

    def _create(self, call: ApiCall) -> Reply:
        path = self.path(call.parts["path"])
        if call.argument("action") != "create":
            raise ApiError(400, BAD_OPERATION, f"the double has no action {call.argument('action')}")
        with self.lock:
            if path in self.dirs or path in self.files:
                raise ApiError(400, PATH_EXISTS, "Path already exists")
            if path.rsplit("/", 1)[0] not in self.dirs:
                raise ApiError(400, PATH_NOT_FOUND, "Path not found")
            self.dirs.add(path)
            return Reply(201, self._stat(path))

    def _delete(self, call: ApiCall) -> Reply:
        self.remove(self.path(call.parts["path"]))
        return Reply(204)

    def _upload(self, call: ApiCall) -> Reply:
        form = multipart(call.body, call.headers["content-type"])
        number, total = int(form["flowChunkNumber"]), int(form["flowTotalChunks"])
        folder = self.path(call.parts["path"])
        path = f"{folder}/{form['flowFilename'].decode()}"
        with self.lock:
            if folder not in self.dirs:
                raise ApiError(400, PATH_NOT_FOUND, "Path not found")
            if number == 1:
                # As the real one does: an upload that is never finished leaves a file of no bytes.
                self.files.setdefault(path, b"")
            upload = (path, form["flowIdentifier"].decode())
            chunks = self._chunks.setdefault(upload, {})
            chunks[number] = form["file"]
            # An empty file is one chunk of zero.
            if len(chunks) < max(total, 1):
                return Reply(200, {"successMessage": "Uploading"})
            self.files[path] = b"".join(chunks[index] for index in sorted(chunks))
            del self._chunks[upload]
        return Reply(200, {"successMessage": f"Successfully uploaded file to {folder}"})

    def _download(self, call: ApiCall) -> Reply:
        path = self.path(call.parts["path"])
        with self.lock:
            if path not in self.files:
                raise ApiError(400, PATH_NOT_FOUND, "Path not found")
            return Reply(200, self.files[path])


def multipart(body: bytes, content_type: str) -> dict[str, bytes]:
    """The fields of a form, files among them, by name."""
    boundary = b"--" + content_type.split("boundary=")[1].strip('"').encode()
    fields: dict[str, bytes] = {}
    for part in body.split(boundary)[1:-1]:
        head, _, data = part.partition(b"\r\n\r\n")
        name = head.split(b'name="')[1].split(b'"')[0].decode()
        fields[name] = data.removesuffix(b"\r\n")
    return fields
