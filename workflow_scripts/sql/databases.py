"""Where databases lie: FOLDER/<db_id>/<db_id>.sqlite, further instances beside it."""

from collections.abc import Iterator
from pathlib import Path

from workflow_scripts.errors import EssenceError


def find_database(folder: Path | str, db_id: str) -> Path:
    """Find the database file of `db_id`. Raises EssenceError naming the places searched.

    FOLDER/<db_id>.sqlite is also accepted.
    """
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
    for path in Path(folder).glob("*/*.sqlite"):
        if path.stem == path.parent.name:
            files[path.stem] = path
    yield from sorted(files.items())


def instances(database: Path) -> list[Path]:
    """List the database and, in its own folder, every other .sqlite file: same schema, other rows.

    So the Spider test suite keeps them (Zhong, Yu and Klein 2020).
    """
    if database.parent.name != database.stem:
        return [database]
    others = sorted(path for path in database.parent.glob("*.sqlite") if path != database)
    return [database, *others]
