"""The units of deploy/, by systemd's own tools."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from app.serve.process import GRACE_SECONDS
from app.settings import Limits, Settings
from tests.conftest import FAR_TOO_LONG

DEPLOY = Path(__file__).parents[2] / "deploy"
UNITS = ("waybill.service", "waybill.socket")
# Of ten; what is below two is what systemd calls OK.
MOST_EXPOSED = 1.5


def unit(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(DEPLOY / name)
    return parser


@pytest.fixture
def units(tmp_path: Path) -> list[str]:
    """The units, of a program that is there."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    for name in UNITS:
        text = (DEPLOY / name).read_text().replace("/opt/waybill/bin/waybill", "/bin/true")
        (tmp_path / name).write_text(text)
    return [str(tmp_path / name) for name in UNITS]


def test_systemd_understands_the_units(units: list[str]) -> None:
    told = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, timeout=FAR_TOO_LONG)
    # It reads all other units of the machine as well.
    lines = [line for line in told.stderr.splitlines() if "waybill" in line]
    assert (told.returncode, lines) == (0, [])


def test_the_service_is_hardened(units: list[str]) -> None:
    told = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", units[0]],
        capture_output=True,
        text=True,
        timeout=FAR_TOO_LONG,
    )
    if "unrecognized option" in told.stderr:
        pytest.skip("this systemd does not judge units that are not loaded")
    exposure = re.search(r"Overall exposure level for waybill.service: ([\d.]+)", told.stdout)
    assert exposure, told.stdout + told.stderr
    assert float(exposure[1]) <= MOST_EXPOSED


def test_the_service_has_the_time_and_the_files_that_it_needs() -> None:
    service, socket = unit("waybill.service")["Service"], unit("waybill.socket")["Socket"]
    defaults = {name: field.default for name, field in Settings.__dataclass_fields__.items()}
    assert int(service["TimeoutStopSec"]) > defaults["drain_seconds"] + 2 * GRACE_SECONDS
    assert int(service["LimitNOFILE"]) > Limits().connections
    assert service["Type"] == "notify"
    assert service["KillMode"] == "mixed"
    assert socket["ListenStream"] == f"{defaults['host']}:{defaults['port']}"
