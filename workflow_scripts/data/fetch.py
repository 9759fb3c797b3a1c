"""Fetch a file of rows from a URL or from the file-sharing service that holds the original.

    python -m workflow_scripts.data.fetch --address https://... --out rows.jsonl
    python -m workflow_scripts.data.fetch --address drive:ID --out rows.jsonl --git-blob HEX

What is published is whole and, where a checksum was given, verified. The original rows are shared
inside a zip; the .jsonl in it is unpacked and the zip dropped.
"""

import errno
import shutil
import urllib.parse
import urllib.request
import zipfile
import zlib
from pathlib import Path
from typing import Annotated

from workflow_scripts.data.checksums import facts_of
from workflow_scripts.errors import EssenceError, one_line
from workflow_scripts.files import written_whole
from workflow_scripts.stage import Output, Setting, run_stage

BY_HAND = "download it by hand from {address} and set data.source: path and data.path to the file"
SECONDS_OF_SILENCE = 60


def fetch(
    address: Annotated[str, Setting("an http(s):// or file:// URL, or drive:ID for Google Drive")],
    out: Annotated[Path, Output("where the rows go")],
    git_blob: Annotated[
        str, Setting("what `git hash-object` prints for the right rows; another file is refused")
    ] = "",
    member: Annotated[str, Setting("the file wanted from a zip that holds several .jsonl")] = "",
) -> None:
    """Fetch `address` to `out`; with a checksum, a file already there is kept if it agrees.

    Raises EssenceError when the address can't be reached, the answer is a web page instead of a
    file, the zip doesn't hold the file, or the checksum differs; `out` is then left as it was.
    """
    if git_blob and out.is_file() and not _difference(out, git_blob):
        print(f"{out} is already there and its checksum agrees.")
        return
    scratch = out.parent / f".fetch-{out.name}"
    shutil.rmtree(scratch, ignore_errors=True)  # of a job that was killed
    scratch.mkdir(parents=True)
    try:
        _publish(_download(address, scratch / "download"), out, address, git_blob, member)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    print(f"Fetched {out} ({out.stat().st_size:,} bytes) from {human_address(address)}.")


def human_address(address: str) -> str:
    """The address a person can open in a browser."""
    if address.startswith("drive:"):
        return f"https://drive.google.com/file/d/{address.removeprefix('drive:')}/view"
    return address


def _download(address: str, to: Path) -> Path:
    scheme = urllib.parse.urlsplit(address).scheme
    if scheme == "file":
        return _local_file(address)
    if scheme not in ("http", "https", "drive"):
        raise EssenceError(
            f"data.url: {address!r} is not an address that can be fetched; give an http://, "
            "https:// or file:// URL, or set data.source: path and data.path for a local file."
        )
    import gdown  # here, so that a machine without it can still read local files

    url = human_address(address)
    try:
        gdown.download(
            url=url,
            output=str(to),
            use_cookies=False,
            retries=3,
            timeout=SECONDS_OF_SILENCE,
        )
    except Exception as error:  # gdown reads pages of other people's making
        if getattr(error, "errno", None) == errno.ENOSPC:
            raise
        cure = BY_HAND.format(address=url)
        raise EssenceError(f"{url} could not be fetched ({one_line(error)}); {cure}.") from error
    return to


def _local_file(address: str) -> Path:
    path = Path(urllib.request.url2pathname(urllib.parse.urlsplit(address).path))
    if not path.is_file():
        raise EssenceError(f"data.url: {path} (from {address}) is not a file; correct the path.")
    return path


def _publish(got: Path, out: Path, address: str, git_blob: str, member: str) -> None:
    with open(got, "rb") as file:
        start = file.read(1024).lstrip()
    if start[:1] == b"<":
        cure = BY_HAND.format(address=human_address(address))
        raise EssenceError(
            f"{human_address(address)} answered with a web page instead of the file (a login or "
            f"a quota, perhaps); {cure}."
        )
    with written_whole(out) as temporary:
        if zipfile.is_zipfile(got):
            _unpack(got, temporary, address, member)
        else:
            shutil.copyfile(got, temporary)
        if difference := _difference(temporary, git_blob):
            raise EssenceError(
                f"{human_address(address)}: {difference}. Nothing was kept. Run the command again "
                "in case the download was damaged; if the file was replaced by a newer one on "
                "purpose, correct the checksum or leave it out."
            )


def _unpack(archive: Path, to: Path, address: str, member: str) -> None:
    where = human_address(address)
    try:
        with zipfile.ZipFile(archive) as bundle:
            names = [name for name in bundle.namelist() if not name.startswith("__MACOSX/")]
            wanted = [
                name
                for name in names
                if (Path(name).name == member if member else name.endswith(".jsonl"))
            ]
            if len(wanted) != 1:
                raise EssenceError(
                    f"{where}: the zip holds {len(wanted)} files "
                    f"{f'named {member}' if member else 'ending in .jsonl'}, one was expected; "
                    f"name one with --member out of: {', '.join(names) or 'nothing'}"
                )
            with bundle.open(wanted[0]) as source, open(to, "wb") as target:
                shutil.copyfileobj(source, target)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise EssenceError(
            f"{where}: the zip can't be unpacked ({error}); fetch it again."
        ) from error


def _difference(path: Path, git_blob: str) -> str:
    """What is wrong with the file's checksum, if anything."""
    if not git_blob:
        return ""
    facts = facts_of(path)
    blob = facts["git_blob_sha1"]
    if blob == git_blob.lower():
        return ""
    return f"the git blob id is {blob}, expected {git_blob} ({facts['bytes']:,} bytes)"


if __name__ == "__main__":
    run_stage(fetch)
