"""Data files: where they are, and downloading them once."""

import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from urllib.request import Request, urlopen

from genmod import DataError, SplitName
from genmod.system import offline

__all__ = ["check_online", "fetch", "locate", "split_folders"]

_FOLDERS: dict[SplitName, tuple[str, ...]] = {
    "train": ("train",),
    "validation": ("validation", "valid", "val"),
    "test": ("test",),
}

_TIMEOUT = 10.0
_MAX_BYTES = 2**30


def locate(path: Path, root: Path) -> Path:
    """The file or folder named by a user: from the current folder, else from ``root``.

    Raises:
        DataError: it is in neither.
    """
    given = path.expanduser()
    for candidate in (given, root / given):
        if candidate.exists():
            return candidate
    places = [given.absolute(), root / given]
    raise DataError(
        f"there is no {' and no '.join(dict.fromkeys(map(str, places)))}",
        hint="give the full path of what is there: -s dataset.path=PATH",
    )


def split_folders(place: Path) -> dict[SplitName, Path | None]:
    """Split → its folder within another, where there is one."""
    return {
        split: next((place / name for name in names if (place / name).is_dir()), None)
        for split, names in _FOLDERS.items()
    }


def check_online(target: Path, hint: str) -> None:
    """Refuse to download a file where nothing may be downloaded.

    Raises:
        DataError: ``--offline`` or ``GENMOD_OFFLINE`` was given.
    """
    if offline():
        raise DataError(
            f"{target} is missing, and --offline or GENMOD_OFFLINE forbids to download it", hint=hint
        )


def fetch(urls: Sequence[str], target: Path, *, md5: str, hint: str) -> None:
    """Download a file from the first of ``urls`` that has it, with a progress bar on stderr.

    ``target`` appears only when it is complete and has the right checksum.

    Args:
        urls: the same file on several servers.
        target: where to put it.
        md5: its checksum.
        hint: what to do without a network.

    Raises:
        DataError: no server could be reached or had this file, or it cannot be written; lists each reason.
    """
    check_online(target, hint)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    failures = []
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        for url in urls:
            try:
                found = _transfer(url, part, target.name)
            except (OSError, HTTPException, ValueError) as error:
                failures.append(f"{url}: {error}")
                continue
            if found == md5:
                os.replace(part, target)
                return
            failures.append(f"{url}: the file has MD5 {found}, not {md5}")
    except OSError as error:
        failures.append(str(error))
    finally:
        with suppress(OSError):
            part.unlink()
    raise DataError(
        f"{target.name} could not be downloaded to {target.parent}\n" + "\n".join(failures), hint=hint
    )


def _transfer(url: str, part: Path, name: str) -> str:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    digest = hashlib.md5(usedforsecurity=False)
    request = Request(url, headers={"User-Agent": "genmod"})
    with (
        urlopen(request, timeout=_TIMEOUT) as response,
        part.open("wb") as file,
        Progress(*columns, console=Console(stderr=True)) as progress,
    ):
        length = response.headers.get("Content-Length")
        task = progress.add_task(name, total=int(length) if length else None)
        while block := response.read(2**16):
            digest.update(block)
            file.write(block)
            progress.advance(task, len(block))
            if file.tell() > _MAX_BYTES:
                raise ValueError(f"more than {_MAX_BYTES:,} bytes")
    return digest.hexdigest()
