"""Fetch a file of rows from a URL or from the file-sharing service that holds the original.

In: an address. Out: one .jsonl file, whole and checked, or none at all.

    python -m workflow_scripts.data.fetch --drive-id ID --out results/data/raw.jsonl
    python -m workflow_scripts.data.fetch --url https://... --out FILE --sha256 HEX

The original rows are shared inside a zip; the .jsonl in it is unpacked and the zip dropped.
"""

import argparse
import errno
import hashlib
import shutil
import urllib.parse
import urllib.request
import zipfile
import zlib
from pathlib import Path

from workflow_scripts.data.checksums import checksums_of, report_files
from workflow_scripts.errors import EssenceError, run_cli
from workflow_scripts.files import written_whole

BY_HAND = "download it by hand from {address} and set data.source: path and data.path to the file"
SECONDS_OF_SILENCE = 60


def fetch(
    address: str,
    out: Path | str,
    sha256: str | None = None,
    git_blob: str | None = None,
    member: str | None = None,
) -> str:
    """Fetch `address` to `out` and return a sentence on what was done.

    `address` is an http(s) or file URL, or `drive:ID`. With a checksum (`sha256`, or `git_blob`
    as `git hash-object` prints it) a file already there is kept if it agrees, and a broken
    download is taken up where it stopped; without one nothing could prove the pieces fit, so
    it starts anew. `member` names the file wanted from a zip that holds several.

    Raises EssenceError when the address can't be reached, the answer is a web page instead of a
    file, the zip doesn't hold the file, or the checksum differs; `out` is then left as it was.
    """
    out = Path(out)
    checked = bool(sha256 or git_blob)
    if checked and out.is_file() and not _difference(out, sha256, git_blob):
        return f"{out} is already there and its checksum agrees."
    scratch = out.parent / f".fetch-{hashlib.sha256(address.encode()).hexdigest()[:12]}"
    if not checked:
        shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True, exist_ok=True)
    try:
        got = _download(address, scratch / "download")
    except BaseException:
        if not checked:
            shutil.rmtree(scratch, ignore_errors=True)
        raise
    try:
        _publish(got, out, address, sha256, git_blob, member)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return f"Fetched {out} ({out.stat().st_size:,} bytes) from {human_address(address)}."


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
            f"data.url: {address!r} is no address that can be fetched; give an http://, https:// "
            "or file:// URL, or set data.source: path and data.path for a file on this machine."
        )
    import gdown  # here, so that a machine without it can still read local files

    url = human_address(address)
    try:
        gdown.download(
            url=url,
            output=str(to),
            use_cookies=False,
            resume=True,
            retries=3,
            timeout=SECONDS_OF_SILENCE,
        )
    except (OSError, gdown.DownloadError) as error:
        if getattr(error, "errno", None) == errno.ENOSPC:
            raise
        cure = BY_HAND.format(address=url)
        raise EssenceError(f"{url} could not be fetched ({_first_line(error)}); {cure}.") from error
    return to


def _local_file(address: str) -> Path:
    path = Path(urllib.request.url2pathname(urllib.parse.urlsplit(address).path))
    if not path.is_file():
        raise EssenceError(f"data.url: {path} (from {address}) is no file; correct the path.")
    return path


def _publish(
    got: Path, out: Path, address: str, sha256: str | None, git_blob: str | None, member: str | None
) -> None:
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
        difference = _difference(temporary, sha256, git_blob)
        if difference:
            raise EssenceError(
                f"{human_address(address)}: {difference}. Nothing was kept. Run the command again "
                "in case the download was damaged; if the file was replaced by a newer one on "
                "purpose, correct the checksum or leave it out."
            )


def _unpack(archive: Path, to: Path, address: str, member: str | None) -> None:
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


def _difference(path: Path, sha256: str | None, git_blob: str | None) -> str | None:
    """What is wrong with the file's checksums, or None."""
    if not (sha256 or git_blob):
        return None
    found = checksums_of(path)
    for name, expected, actual in (
        ("sha256", sha256, found.sha256),
        ("git blob id", git_blob, found.git_blob_sha1),
    ):
        if expected and expected.lower() != actual:
            return f"the {name} is {actual}, expected {expected} ({found.bytes:,} bytes came)"
    return None


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines)[:300] or type(error).__name__


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--url", help="http(s):// or file:// address")
    where.add_argument(
        "--drive-id",
        help=f"file id on Google Drive; the report's rows: {report_files()['raw']['drive_id']}",
    )
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--sha256", help="expected sha256 of the rows file")
    parser.add_argument("--git-blob", help="expected git blob id of the rows file")
    parser.add_argument("--member", help="file to take out of a zip that holds several .jsonl")
    args = parser.parse_args()
    address = args.url or f"drive:{args.drive_id}"
    print(fetch(address, args.out, args.sha256, args.git_blob, args.member))


if __name__ == "__main__":
    run_cli(main)
