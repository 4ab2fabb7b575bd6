"""The statements of the service, all of them."""

from importlib.resources import files


def nouns() -> list[str]:
    """The names of the files that hold them, as `sql.load` takes them."""
    names = {entry.name for entry in files("sql").iterdir() if entry.name.endswith(".sql")}
    return sorted(name.removesuffix(".sql") for name in names - {"schema.sql"})
