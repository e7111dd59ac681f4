"""Volumes that tests may fill up, make read-only or break; only root may mount them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_FILLER = "filler"


def mount(*arguments: str | Path) -> None:
    """Run `mount`."""
    subprocess.run(["mount", *map(str, arguments)], check=True, capture_output=True)


@contextmanager
def memory(folder: Path, megabytes: int) -> Iterator[Path]:
    """A small volume in memory at `folder`."""
    with _mounted(folder, lambda: mount("-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", folder)):
        yield folder


@contextmanager
def disk(folder: Path, image: Path) -> Iterator[Path]:
    """A file system in the file `image`, made at first, mended and mounted at `folder` afterwards."""
    if image.exists():
        subprocess.run(["e2fsck", "-fy", image], check=False, capture_output=True)
    else:
        image.touch()
        os.truncate(image, 64 * 2**20)
        subprocess.run(["mkfs.ext4", "-q", image], check=True, capture_output=True)
    with _mounted(folder, lambda: mount("-o", "loop,errors=remount-ro", image, folder)):
        yield folder


def break_disk(folder: Path) -> None:
    """Have the kernel find an error on the disk at `folder`, which makes it read-only under whoever writes it."""
    device = subprocess.run(["findmnt", "-no", "SOURCE", folder], check=True, capture_output=True, text=True)
    Path("/sys/fs/ext4", Path(device.stdout.strip()).name, "trigger_fs_error").write_text("a test")


def fill(folder: Path) -> None:
    """Leave no room at all."""
    with (folder / _FILLER).open("ab", buffering=0) as filler:
        for size in (2**20, 4096, 1):
            try:
                while True:
                    filler.write(b"x" * size)
            except OSError:
                continue


def free(folder: Path) -> None:
    """Give the room back."""
    (folder / _FILLER).unlink()


@contextmanager
def _mounted(folder: Path, mounting: Callable[[], None]) -> Iterator[None]:
    folder.mkdir(exist_ok=True)
    try:
        mounting()
    except (OSError, subprocess.CalledProcessError) as error:
        if os.environ.get("REQUIRE_MOUNT") == "1":
            raise
        pytest.skip(f"full and read-only disks left out: this machine does not let us mount one: {error}")
    try:
        yield
    except BaseException:  # a service may still run there; what went wrong shall be told, and nothing stay mounted
        subprocess.run(["umount", "--lazy", folder], check=False)
        raise
    subprocess.run(["umount", folder], check=True)
