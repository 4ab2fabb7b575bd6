"""Standbys of a server of the tests: real ones, which stream its log."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.demo import embedded
from app.demo.embedded import Server
from tests import server


@contextmanager
def standby_of(primary: Server, **settings: str) -> Iterator[Server]:
    """A server that follows another one, such as with `recovery_min_apply_delay="500ms"`."""
    folder = Path(tempfile.mkdtemp(prefix="waybill-", dir=server.roomy_memory()))
    folder.chmod(0o711)
    try:
        shutil.copy(primary.data_dir / "postgres.password", folder)
        account = (primary.data_dir / "postgres").stat()
        command = [embedded.programs() / "pg_basebackup", "-d", primary.dsn, "-D", folder / "postgres"]
        subprocess.run([*command, "--write-recovery-conf", "--checkpoint=fast", "--no-sync"], check=True)
        for path in (folder / "postgres.password", folder / "postgres", *(folder / "postgres").rglob("*")):
            os.chown(path, account.st_uid, account.st_gid)
        with embedded.start(folder, {"fsync": "off", **server.SETTINGS, **settings}) as standby:
            yield standby
    finally:
        embedded.remove(folder)
