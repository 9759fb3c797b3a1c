"""Fetch a file of rows from a URL, the Hugging Face Hub or the service that holds the original.

    python -m workflow_scripts.data.fetch --address https://... --out rows.jsonl
    python -m workflow_scripts.data.fetch --address drive:ID --out rows.jsonl --git-blob HEX
    python -m workflow_scripts.data.fetch --address hub:OWNER/NAME@REVISION --out rows.jsonl

What is published is whole and, where a checksum was given, verified. The original rows are shared
inside a zip; the .jsonl in it is unpacked and the zip dropped. Of a data set on the Hub the split
`train` is read, by the library datasets: the pipeline draws its own test rows from it.
"""

import errno
import shutil
import tempfile
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

BY_HAND = "download it by hand from {url} and set data.source: path and data.path to the file"
SECONDS_OF_SILENCE = 60


def fetch(
    address: Annotated[
        str, Setting("http(s):// or file:// URL, drive:ID or hub:OWNER/NAME@REVISION")
    ],
    out: Annotated[Path, Output("where the rows go")],
    git_blob: Annotated[
        str, Setting("what `git hash-object` prints for the right rows; another file is refused")
    ] = "",
    member: Annotated[str, Setting("the file wanted from a zip that holds several .jsonl")] = "",
) -> None:
    """Fetch `address` to `out`; with a checksum, a file already there is kept if it agrees.

    Raises EssenceError, `out` left as it was, where what comes is not the file that is wanted.
    """
    if git_blob and out.is_file() and facts_of(out)["git_blob_sha1"] == git_blob.lower():
        print(f"{out} is already there and its checksum agrees.")
        return
    url = address
    if address.startswith("drive:"):  # the address that a person can open in a browser
        url = f"https://drive.google.com/file/d/{address.removeprefix('drive:')}/view"
    out.parent.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as folder,
        written_whole(out) as temporary,
    ):
        from_hub = address.startswith("hub:")
        download = (_read_hub if from_hub else _download)(url, Path(folder) / "download")
        if zipfile.is_zipfile(download):
            _unpack(download, temporary, url, member)
        else:
            shutil.copyfile(download, temporary)
        facts = facts_of(temporary)
        if git_blob and facts["git_blob_sha1"] != git_blob.lower():
            raise EssenceError(
                f"{url}: the git blob id is {facts['git_blob_sha1']}, expected {git_blob} "
                f"({facts['bytes']:,} bytes). Nothing was kept. Run the command again in case the "
                "download was damaged; if the file was replaced by a newer one on purpose, correct "
                "the checksum or leave it out."
            )
    print(f"Fetched {out} ({facts['bytes']:,} bytes) from {url}.")


def _read_hub(address: str, to: Path) -> Path:
    """The rows of a data set as JSON lines."""
    import datasets

    name, _, revision = address.removeprefix("hub:").partition("@")
    try:
        rows = datasets.load_dataset(
            name, revision=revision, split="train", cache_dir=str(to.parent / "cache")
        )
    except Exception as error:  # the library's errors have no common base class
        raise EssenceError(
            f"data.dataset: {name} at {revision} could not be read ({one_line(error)}); set "
            "data.source: path and data.path to a file of its rows, or correct name and revision."
        ) from error
    rows.to_json(to, force_ascii=False)
    return to


def _download(url: str, to: Path) -> Path:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "file":
        path = Path(urllib.request.url2pathname(parts.path))
        if not path.is_file():
            raise EssenceError(f"data.url: {path} (from {url}) is not a file; correct the path.")
        return path
    if parts.scheme not in ("http", "https"):
        raise EssenceError(
            f"data.url: {url!r} is not an address that can be fetched; give an http://, "
            "https:// or file:// URL, or set data.source: path and data.path for a local file."
        )
    import gdown  # here, so that a machine without it can still read local files

    try:
        gdown.download(
            url=url, output=str(to), use_cookies=False, retries=3, timeout=SECONDS_OF_SILENCE
        )
    except Exception as error:  # gdown reads pages of other people's making
        if getattr(error, "errno", None) == errno.ENOSPC:
            raise
        cure = BY_HAND.format(url=url)
        raise EssenceError(f"{url} could not be fetched ({one_line(error)}); {cure}.") from error
    with open(to, "rb") as file:
        if file.read(1024).lstrip()[:1] == b"<":
            why = "answered with a web page instead of the file (a login or a quota, perhaps)"
            raise EssenceError(f"{url} {why}; {BY_HAND.format(url=url)}.")
    return to


def _unpack(archive: Path, to: Path, url: str, member: str) -> None:
    try:
        with zipfile.ZipFile(archive) as bundle:
            names = [name for name in bundle.namelist() if not name.startswith("__MACOSX/")]
            wanted = [name for name in names if Path(name).match(member or "*.jsonl")]
            if len(wanted) != 1:
                raise EssenceError(
                    f"{url}: the zip holds {len(wanted)} files named {member or '*.jsonl'}, one "
                    f"was expected; name one with --member out of: {', '.join(names) or 'nothing'}"
                )
            to.write_bytes(bundle.read(wanted[0]))
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise EssenceError(
            f"{url}: the zip can't be unpacked ({error}); fetch it again."
        ) from error


if __name__ == "__main__":
    run_stage(fetch)
