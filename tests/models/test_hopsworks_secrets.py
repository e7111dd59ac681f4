"""The API key is found where people keep it, read anew each time, and kept out of what is written."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

import schemas
from schemas.cycle import CycleRequest, Outcome
from schemas.hopsworks import Hopsworks
from stores.errors import Unauthorized
from stores.hopsworks import secrets
from stores.hopsworks.private_folder import PrivateFolder
from stores.hopsworks.secrets import HIDDEN, api_key, hide, key_source, redacted
from trainer.run import run_cycle

CLUSTER = Hopsworks(host="hops.example", project="spotify")


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(secrets.KEY_VARIABLE, raising=False)
    monkeypatch.setattr(secrets, "USUAL_FILES", (tmp_path / "docker", tmp_path / "seed"))
    monkeypatch.setattr(secrets, "_known", set())


def test_the_places_are_tried_in_order(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(Unauthorized, match=r"HOPSWORKS_API_KEY nor .*docker nor .*seed.*API_KEY_FILE"):
        api_key(CLUSTER)
    assert key_source(CLUSTER) == "nowhere"
    (tmp_path / "seed").write_text("from-seed\n")
    assert (api_key(CLUSTER), key_source(CLUSTER)) == ("from-seed", str(tmp_path / "seed"))
    (tmp_path / "docker").write_text("from-docker")
    assert (api_key(CLUSTER), key_source(CLUSTER)) == ("from-docker", str(tmp_path / "docker"))
    monkeypatch.setenv(secrets.KEY_VARIABLE, "from-variable")
    assert (api_key(CLUSTER), key_source(CLUSTER)) == ("from-variable", secrets.KEY_VARIABLE)
    named = CLUSTER.model_copy(update={"api_key_file": tmp_path / "named"})
    with pytest.raises(Unauthorized, match="named"):
        api_key(named)
    (tmp_path / "named").write_text("")
    with pytest.raises(Unauthorized, match="named is empty"):
        api_key(named)
    (tmp_path / "named").write_text("from-file")
    assert (api_key(named), key_source(named)) == ("from-file", str(tmp_path / "named"))


def test_what_editors_and_docker_put_around_a_key_is_no_part_of_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "docker").write_bytes(b"\xef\xbb\xbfabc.def\r\n")
    assert api_key(CLUSTER) == "abc.def"
    monkeypatch.setenv(secrets.KEY_VARIABLE, '"ghi.jkl"')
    assert api_key(CLUSTER) == "ghi.jkl"


def test_a_key_that_was_read_is_never_shown(tmp_path: Path) -> None:
    (tmp_path / "seed").write_text("s3cret.key")
    api_key(CLUSTER)
    hide("other password")
    shown = redacted("a s3cret.key b, Authorization: ApiKey abc.def, {'x': 'other password'}")
    assert shown == "a [hidden] b, Authorization: ApiKey [hidden], {'x': '[hidden]'}"


def test_a_private_folder_is_private_and_goes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = PrivateFolder("test")
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    (folder.path / "key.pem").write_text("k")
    other = PrivateFolder("test")
    assert folder.path.exists()  # somebody works with it
    folder.remove()
    folder.remove()
    assert not folder.path.exists()
    left = other.path
    other._lock.close()  # as when its process is killed
    PrivateFolder("test").remove()
    assert not left.exists()


def test_a_folder_that_others_can_read_is_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / f"retrainer-test-{os.getuid()}").mkdir(mode=0o755)
    with pytest.raises(PermissionError, match="TMPDIR"):
        PrivateFolder("test")


def test_an_error_that_nobody_foresaw_tells_no_secret(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a cycle: in its result, which is logged and kept, and in the traceback, which the consumer may log."""
    golden = Path(schemas.__file__).parent / "golden" / "cycle_request.json"
    request = CycleRequest.model_validate_json(golden.read_text())
    monkeypatch.chdir(tmp_path)  # its folders are named from where one stands
    hide("s3cret.key")

    text = "https://u:s3cret.key@hops.example"

    def broken(_: object) -> None:
        raise KeyError(text)

    monkeypatch.setattr("trainer.run.open_store", broken)
    result = run_cycle(request, lambda _: None, lambda: False)
    assert result is not None
    assert result.outcome is Outcome.FAILED
    assert HIDDEN in result.reason
    printed = capsys.readouterr()
    assert "KeyError" in printed.err
    assert "s3cret.key" not in result.reason + printed.out + printed.err
