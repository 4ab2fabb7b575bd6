"""What a look at the database comes to."""

from dataclasses import dataclass

OK, WARNING, FAULT, MENDED = "ok", "warning", "FAULT", "mended"


@dataclass
class Finding:
    check: str
    state: str
    says: str
    remedy: str = ""
