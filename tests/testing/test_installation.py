"""``xaibench doctor``: what is here, and what is broken."""

import json

import pytest

from xaibench.testing import installation as doctor

BROKEN = "xaibench_plugin_that_is_missing"


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(doctor, "MEASURED_SECONDS", 0)


def test_versions_devices_folders_and_speed_are_those_of_here(quick, call, tmp_path, monkeypatch):
    (tmp_path / "inside").mkdir()
    (tmp_path / "a.csv").write_bytes(b"x" * 11)
    (tmp_path / "inside" / "b.csv").write_bytes(b"x" * 7)
    monkeypatch.setenv("XAIBENCH_DATA", str(tmp_path))
    monkeypatch.setenv("XAIBENCH_CACHE", str(tmp_path / "none"))
    code, out, _ = call("doctor", "--json")
    found = json.loads(out)
    assert found["versions"]["torch"]
    assert found["machine"]["devices"][0].startswith("cpu")
    assert found["folders"]["XAIBENCH_DATA"] == {
        "folder": str(tmp_path),
        "there": True,
        "bytes": 18,
    }
    assert found["folders"]["XAIBENCH_CACHE"]["there"] is False
    assert set(found["speed"]) == {"training", "saliency", "deeplift"}
    assert all(rate > 0 for rate in found["speed"].values())
    broken = {each["name"]: each["broken"] for each in found["plugins"] if each["broken"]}
    assert code == bool(broken)
    if broken:  # the package of tests/plugin is installed
        assert BROKEN in broken["broken"]


def test_as_text_a_broken_plug_in_is_named_with_its_reason_and_is_exit_code_1(call, monkeypatch):
    load = doctor.load

    def broken(kind, name):
        if name == "gini":
            raise doctor.UsageError("gini: cannot be imported")
        return load(kind, name)

    monkeypatch.setattr(doctor, "load", broken)
    code, out, err = call("doctor", "--no-speed")
    assert code == 1
    assert "gini is broken: gini: cannot be imported" in out
    assert "failed: metrics gini: gini: cannot be imported" in err
    assert "sequences per second" not in out


def test_an_extra_names_the_packages_that_are_not_here(monkeypatch):
    listed = [
        "torch>=2.6",
        "pyjaspar>=4.0; extra == 'motifs'",
        "no-such-package; extra == 'motifs'",
    ]
    monkeypatch.setattr(doctor, "requires", lambda _: listed)
    assert doctor._extras() == {"motifs": ["no-such-package"]}
