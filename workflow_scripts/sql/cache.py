"""Every distinct (database, SQL) is executed once: results are kept in memory and on disk.

A result's key is made of what it depends on: the bytes of the database file, the SQL, the limits,
the worker's code and SQLite's version. Each is one small file; one that was cut short or changed
by hand is dropped and made again. What depends on the clock or on chance stays in memory only, and
errors that may be gone in a moment (a locked file) are not kept at all. Files and no database hold
the results, because jobs on several machines of a cluster share them, and SQLite's locks can't be
relied upon over network disks.
"""

import contextlib
import functools
import hashlib
import json
import os
import re
import sqlite3
import string
import tempfile
import zlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from workflow_scripts.digest import code_digest
from workflow_scripts.sql.sandbox import Result, Sandbox, message_of, result_of

UNSTEADY = re.compile(
    r"\brandom\s*\(|'now'|current_(date|time|timestamp)|\bjulianday\s*\(\s*\)", re.I
)
BLANKS = " \t\r\n\f"  # what SQLite takes for white space
QUOTED_OR_COMMENT = re.compile(
    r"""('[^']*'|"[^"]*"|`[^`]*`|\[[^\]]*\]|--[^\n]*|/\*.*?\*/)""", re.DOTALL
)
LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
PASSING = ("locked", "brought its process down")


class Job(NamedTuple):
    """A statement to run, with the most steps it may take (None: any number)."""

    database: Path | str
    sql: str
    steps: int | None = None


class CachedSandbox:
    """A `Sandbox` with a cache of results; `folder` None keeps results in memory only.

    Safe to call from several threads, and several processes may share the folder.
    """

    def __init__(self, sandbox: Sandbox, folder: Path | str | None = None):
        self.sandbox = sandbox
        self.folder = Path(folder) if folder else None
        self.executed = 0  # statements that really ran
        self._memory: dict[str, Result] = {}

    def execute(
        self,
        database: Path | str,
        sql: str,
        seconds: float | None = None,
        rival: str | None = None,
        repeat: int = 0,
        steps: int | None = None,
    ) -> Result:
        """Execute as `Sandbox.execute` does. Times of a race are kept too, so figures repeat."""
        arguments = (sql, seconds or self.sandbox.limits.seconds, rival, repeat, steps)
        try:
            key = self._key(database, arguments)
        except OSError:  # no such file: the sandbox says so
            return self.sandbox.execute(database, *arguments)
        result = self._memory.get(key) or self._load(key)
        if result is None:
            self.executed += 1
            result = self.sandbox.execute(database, *arguments)
            if any(passing in (result.error or "") for passing in PASSING):
                return result
            if not UNSTEADY.search(sql):
                self._save(key, result)
        self._memory[key] = result
        return result

    def map(self, jobs: Iterable[tuple]) -> list[Result]:
        """Execute jobs (see `Job`) and return results in order; equal jobs run once.

        SQL counts as equal in whatever case and white space it is written (see `one_spelling`); a
        message of SQLite then quotes the first of them.
        """
        jobs = [Job(*job) for job in jobs]
        keys = [(job.database, one_spelling(job.sql), job.steps) for job in jobs]
        distinct = dict(zip(reversed(keys), reversed(jobs), strict=True))  # the first of each
        with ThreadPoolExecutor(self.sandbox.workers) as threads:
            results = threads.map(self._run, distinct.values())
            result_of = dict(zip(distinct, results, strict=True))
        return [result_of[key] for key in keys]

    def _run(self, job: Job) -> Result:
        return self.execute(job.database, job.sql, steps=job.steps)

    def _key(self, database: Path | str, arguments: tuple) -> str:
        versions = [code_digest("workflow_scripts.sql.worker"), sqlite3.sqlite_version]
        about = [versions, contents_digest(Path(database)), vars(self.sandbox.limits), arguments]
        return hashlib.sha256(json.dumps(about).encode()).hexdigest()

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / key[2:]

    def _load(self, key: str) -> Result | None:
        if self.folder is None:
            return None
        try:
            kept, message = json.loads(zlib.decompress(self._path(key).read_bytes()))
        except (OSError, zlib.error, ValueError):
            return None
        return result_of(message) if kept == key else None

    def _save(self, key: str, result: Result) -> None:
        if self.folder is None:
            return
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        # Renamed into place without a sync: a torn entry fails zlib's checksum and is made again.
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".")
        with os.fdopen(handle, "wb") as file:
            file.write(zlib.compress(json.dumps([key, message_of(result)]).encode(), 1))
        os.replace(name, path)


def one_spelling(sql: str) -> tuple[str, ...]:
    """Normalise case and white space outside quotes, so that equal statements are equal texts.

    SQLite returns the same rows for them: it folds the case of ASCII letters in names and keywords.
    """
    parts = QUOTED_OR_COMMENT.split(sql.strip(BLANKS))  # the odd ones are quotes and comments
    parts[::2] = (re.sub(f"[{BLANKS}]+", " ", part).translate(LOWER) for part in parts[::2])
    return tuple(parts)


def contents_digest(database: Path) -> str:
    """Compute sha256 of a database file and of the write-ahead log beside it, if there is one.

    Raises OSError when the file can't be read.
    """
    parts = []
    for path in (database, database.with_name(database.name + "-wal")):
        with contextlib.suppress(FileNotFoundError) if parts else contextlib.nullcontext():
            info = path.stat()
            parts.append(_digest(path, info.st_mtime_ns, info.st_size, info.st_ino))
    return ":".join(parts)


@functools.lru_cache(maxsize=10_000)
def _digest(path: Path, _mtime: int, _size: int, _inode: int) -> str:
    if not path.is_file():
        raise OSError(f"{path}: not a regular file")
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
