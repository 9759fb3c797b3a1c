"""Where databases lie: FOLDER/<db_id>/<db_id>.sqlite, further instances beside it."""

from collections.abc import Iterator
from pathlib import Path

from workflow_scripts.errors import EssenceError


def find_database(folder: Path | str, db_id: str) -> Path:
    """Find the database file of `db_id`, also FOLDER/<db_id>.sqlite. Raises EssenceError."""
    folder = Path(folder)
    if not folder.is_dir():
        raise EssenceError(f"{folder}: no such folder of databases")
    if not db_id or Path(db_id).name != db_id:
        raise EssenceError(f"db_id {db_id!r} is not the name of a database")
    for path in (folder / db_id / f"{db_id}.sqlite", folder / f"{db_id}.sqlite"):
        if path.is_file():
            return path
    known = [name for name, _ in list_databases(folder)]
    examples = f": {', '.join(known[:5])}{', ...' if len(known) > 5 else ''}" if known else ""
    raise EssenceError(
        f"unknown db_id {db_id!r}: there is no {folder / db_id / db_id}.sqlite. "
        f"The folder has {len(known)} databases{examples}"
    )


def list_databases(folder: Path | str) -> Iterator[tuple[str, Path]]:
    """List (db_id, file) of every database in a folder, by name."""
    files = {path.stem: path for path in Path(folder).glob("*.sqlite")}
    inside = Path(folder).glob("*/*.sqlite")
    files |= {path.stem: path for path in inside if path.stem == path.parent.name}
    yield from sorted(files.items())


def instances(database: Path) -> list[Path]:
    """List the database and, as Spider's test suite keeps them, files of other rows beside it."""
    beside = database.parent.glob("*.sqlite") if database.parent.name == database.stem else ()
    return [database, *sorted(path for path in beside if path != database)]
