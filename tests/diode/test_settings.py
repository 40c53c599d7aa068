"""The settings of diodes."""

from __future__ import annotations

import pytest

from appliance.settings.diodes import split_address
from appliance.settings.faults import faults
from bundles.errors import UsageError

_INSIDE = 'site = "bravo"\nside = "inside"\n[drop_folders.incoming]\npath = "/srv/incoming"\n'
_OUTSIDE = 'site = "alpha"\nside = "outside"\n'


def _faults(text: str) -> list[str]:
    return [fault.key for fault in faults(text.encode())]


def test_whole_diodes_have_no_fault() -> None:
    sends = '[diodes.gap]\naddress = "10.9.0.2"\nmtu = 9000\nrate = 1000000\nrepair = 10\nrepeat = 3\nkey = true\n'
    assert _faults(_OUTSIDE + sends) == []
    assert _faults(_INSIDE + '[diodes.gap]\naddress = "[fd00::2]:7000"\ndrop_folder = "incoming"\n') == []


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ('address = "host.example"', "address"), ('address = "10.9.0.2:0"', "address"),
        ('address = "10.9.0.256"', "address"), ("mtu = 100", "mtu"), ("mtu = 9001", "mtu"), ("rate = 0", "rate"),
        ("repair = 201", "repair"), ("repeat = 17", "repeat"), ('key = "00"', "key"), ("speed = 1", "speed"),
        ('drop_folder = "incoming"', "drop_folder"),
    ],
)  # fmt: skip
def test_a_wrong_setting_of_a_diode_is_named(line: str, key: str) -> None:
    address = "" if key == "address" else 'address = "10.9.0.2:7416"\n'
    assert _faults(f"{_OUTSIDE}[diodes.gap]\n{address}{line}\n") == [f"diodes.gap.{key}"]


def test_an_inside_diode_names_a_drop_folder_that_is_there() -> None:
    diode = '[diodes.gap]\naddress = "10.9.0.2"\n'
    assert _faults(_INSIDE + diode) == ["diodes.gap.drop_folder"]
    assert _faults(_INSIDE + diode + 'drop_folder = "other"\n') == ["diodes.gap.drop_folder"]
    assert _faults(_OUTSIDE + "[diodes.gap]\n") == ["diodes.gap.address"]


def test_addresses_are_numbers_with_a_port_or_without() -> None:
    assert split_address("10.9.0.2") == ("10.9.0.2", 7416)
    assert split_address("[fd00::2]:9") == ("fd00::2", 9)
    for wrong in ("", "x", "10.9.0.2:99999", "fd00::2", "10.9.0.2:1\n", "[10.9.0.2", "1" * 10_000):
        with pytest.raises(UsageError):
            split_address(wrong)
