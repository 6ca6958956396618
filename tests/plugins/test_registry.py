import pytest

from xaibench import __version__
from xaibench.errors import UsageError
from xaibench.plugins import registry
from xaibench.plugins.registry import Plugin, available, held, load
from xaibench.protocols import PROTOCOL, PROTOCOLS

PLUGIN = """
from math import exp
LIMIT = 3

def centre(model, inputs, target):
    return inputs.sum(1)

class Net:
    pass

def _hidden():
    pass
"""


@pytest.fixture
def plugin(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(PLUGIN)
    return str(path)


def test_own_and_foreign_methods_come_through_the_same_door():
    assert {"saliency", "centre_of_package"} <= set(available("attribution"))
    assert load("attribution", "centre_of_package").call.__doc__.startswith("The closer")


def test_the_protocol_is_the_version_without_its_last_number():
    assert PROTOCOLS[-1] == PROTOCOL == __version__.rpartition(".")[0]


def test_a_file_for_another_protocol_is_refused(plugin, tmp_path):
    path = tmp_path / "later.py"
    path.write_text(f'XAIBENCH_PROTOCOL = "{PROTOCOL}"\n{PLUGIN}')
    assert load("attribution", "centre", (str(path),)).name == "centre"
    path = tmp_path / "other.py"
    path.write_text(f'XAIBENCH_PROTOCOL = "9.7"\n{PLUGIN}')
    message = rf"--plugin .*other.py: expected XAIBENCH_PROTOCOL {PROTOCOL}, .* got '9.7'; install"
    with pytest.raises(UsageError, match=message):
        load("attribution", "centre", (str(path),))


def test_a_package_for_another_protocol_is_refused(monkeypatch):
    load("attribution", "centre_of_package")
    monkeypatch.setattr("xaibench_plugin.XAIBENCH_PROTOCOL", "0.1", raising=False)
    monkeypatch.setattr(registry, "_installed", registry._installed.__wrapped__)
    with pytest.raises(UsageError, match=r"the plug-in 'centre_of_package' .* got '0.1'"):
        load("attribution", "centre_of_package")


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(UsageError, match="no models named 'cmn'; did you mean 'cnn'"):
        load("models", "cmn")


def test_a_plugin_that_cannot_be_imported_says_so():
    with pytest.raises(
        UsageError, match=r"'broken' .* ModuleNotFoundError.*plugin_that_is_missing"
    ):
        load("attribution", "broken")


def test_a_file_gives_its_public_functions_and_classes_alone(plugin):
    assert load("attribution", "centre", (plugin,)).call.__name__ == "centre"
    assert load("models", "Net", (plugin,)).call.__name__ == "Net"
    for name in ("exp", "_hidden", "LIMIT"):
        with pytest.raises(UsageError, match="no attribution named"):
            load("attribution", name, (plugin,))


def test_a_changed_file_is_another_version(plugin, tmp_path):
    before = load("attribution", "centre", (plugin,)).code
    other = tmp_path / "elsewhere" / "own.py"
    other.parent.mkdir()
    other.write_text(PLUGIN.replace("sum(1)", "sum(1) * 2"))
    assert load("attribution", "centre", (str(other),)).code != before


def test_a_name_that_is_taken_is_refused(tmp_path):
    path = tmp_path / "own_saliency.py"
    path.write_text("def saliency(model, inputs, target):\n    return inputs.sum(1)\n")
    with pytest.raises(UsageError, match="two attribution are named 'saliency'"):
        load("attribution", "saliency", (str(path),))


def test_a_plugin_file_that_is_missing_or_broken_is_one_line(tmp_path):
    with pytest.raises(UsageError, match=r"--plugin nowhere.py: cannot be imported: FileNotFound"):
        load("attribution", "centre", ("nowhere.py",))
    path = tmp_path / "broken_file.py"
    path.write_text("def centre(:\n")
    with pytest.raises(UsageError, match="cannot be imported: SyntaxError"):
        load("attribution", "centre", (str(path),))


def test_a_dotted_path_outside_the_adapters_is_refused_before_it_is_imported():
    with pytest.raises(UsageError, match=r"'os:remove' is not reachable.* with --plugin os"):
        load("attribution", "os:remove")


def test_a_captum_class_comes_through_its_adapter():
    assert "captum.attr:GuidedBackprop" in load("attribution", "captum.attr:GuidedBackprop").code


def test_a_module_that_is_no_file_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "folder_without_init").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    for source in ("sys", "folder_without_init"):
        with pytest.raises(
            UsageError, match=f"--plugin {source}: .* expected a module of one file"
        ):
            load("attribution", "centre", (source,))


def test_a_plugin_of_ours_is_named_by_kind_and_name_wherever_its_module_is():
    assert load("operators", "uniform").code == f"operators:uniform {__version__}"
    adapted = load("attribution", "captum.attr:GuidedBackprop").code
    assert adapted == f"captum.attr:GuidedBackprop adapters:captum.attr {__version__}"


def test_functions_that_are_held_are_found_while_the_block_lasts_and_by_kind():
    def mine(model, inputs, target): ...

    plugin = Plugin("attribution", "mine", mine, "mine 1")
    with held([plugin]) as source:
        assert load("attribution", "mine", (source,)) is plugin
        with pytest.raises(UsageError, match="no metrics named 'mine'"):
            load("metrics", "mine", (source,))
    with pytest.raises(UsageError, match="cannot be imported"):
        load("attribution", "mine", (source,))


def test_a_held_function_may_not_hide_a_plugin():
    with (
        held([Plugin("attribution", "saliency", print, "mine 1")]) as source,
        pytest.raises(UsageError, match="two attribution are named 'saliency'"),
    ):
        load("attribution", "saliency", (source,))
