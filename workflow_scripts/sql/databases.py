"""Where databases lie: FOLDER/<db_id>/<db_id>.sqlite, further instances beside it."""

from collections.abc import Iterator
from pathlib import Path

from workflow_scripts.errors import EssenceError


def find_database(folder: Path | str, db_id: str) -> Path:
    """The database file of `db_id`; raises EssenceError telling where it was looked for.

    FOLDER/<db_id>.sqlite does as well.
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
    """(db_id, file) of every database in a folder, by name."""
    found = {path.stem: path for path in Path(folder).glob("*.sqlite")}
    for path in Path(folder).glob("*/*.sqlite"):
        if path.stem == path.parent.name:
            found[path.stem] = path
    yield from sorted(found.items())


def instances(database: Path) -> list[Path]:
    """The database and, in a folder of its own, every other .sqlite file: same schema, other rows.

    So the Spider test suite keeps them (Zhong, Yu and Klein 2020).
    """
    if database.parent.name != database.stem:
        return [database]
    others = sorted(path for path in database.parent.glob("*.sqlite") if path != database)
    return [database, *others]
