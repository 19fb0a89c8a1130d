from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import distributions
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest

from srkit import __version__, hookimpl, hookspecs
from srkit.components.registry import KINDS, Failure, Registry, singular
from srkit.errors import PluginError

Install = Callable[..., None]

LOSS = '''
from srkit import __version__, hookimpl, hookspecs

class Mine:
    """My loss."""

@hookimpl
def srkit_losses():
    return {"%s": Mine}
'''


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Write a distribution as pip would install it: a module and its metadata."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def install(name: str, source: str, version: str = "1.0", point: str = "") -> None:
        module = f"installed_{name}"
        monkeypatch.delitem(sys.modules, module, raising=False)
        (tmp_path / f"{module}.py").write_text(source)
        info = tmp_path / f"{name}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[srkit]\n{point or name} = {module}\n")

    return install


def discover(folder: Path) -> Registry:
    return Registry.discover(distributions(path=[str(folder)]))


def plugin(**offers: Any) -> SimpleNamespace:
    """Create a plugin object: ``losses={...}`` becomes the hook ``srkit_losses``."""

    def hook(kind: str, offered: Any) -> Any:
        def implementation() -> Any:
            if isinstance(offered, Exception):
                raise offered
            return offered

        implementation.__name__ = f"srkit_{kind}"
        return hookimpl(implementation)

    return SimpleNamespace(**{f"srkit_{kind}": hook(kind, of) for kind, of in offers.items()})


def test_the_kinds_are_those_of_the_hooks() -> None:
    assert KINDS == (
        "datasets",
        "augmentations",
        "degradations",
        "stretches",
        "constraints",
        "generators",
        "discriminators",
        "games",
        "losses",
        "teachers",
        "metrics",
        "optimisers",
        "schedules",
        "trackers",
        "image_formats",
        "downloads",
        "commands",
    )


def test_a_kind_in_the_singular() -> None:
    assert [singular(kind) for kind in KINDS] == [
        "dataset",
        "augmentation",
        "degradation",
        "stretch",
        "constraint",
        "generator",
        "discriminator",
        "game",
        "loss",
        "teacher",
        "metric",
        "optimiser",
        "schedule",
        "tracker",
        "image format",
        "download",
        "command",
    ]


def test_a_component_is_attributed_to_its_distribution(tmp_path: Path, install: Install) -> None:
    install("good", LOSS % "mine", version="2.5")
    registry = discover(tmp_path)
    assert registry.failures == []
    component = registry.get("losses", "mine")
    assert (component.distribution, component.version) == ("good", "2.5")
    assert component.summary == "My loss."
    assert component.factory().__class__.__name__ == "Mine"
    assert registry.components("losses") == [component]


def test_a_failed_import_affects_no_other_plugin(tmp_path: Path, install: Install) -> None:
    install("bad", "import srkit_no_such_package", version="0.3")
    install("good", LOSS % "mine")
    registry = discover(tmp_path)
    assert registry.names("losses") == ["mine"]
    (failure,) = registry.failures
    reason = (
        "import of 'installed_bad' failed: ModuleNotFoundError: "
        "No module named 'srkit_no_such_package'"
    )
    assert (failure.plugin, failure.distribution, failure.version) == ("bad", "bad", "0.3")
    assert failure.reason == reason
    assert "Traceback" in failure.details
    assert "import srkit_no_such_package" in failure.details
    with pytest.raises(PluginError) as caught:
        registry.get("losses", "its_loss")
    assert str(caught.value) == (
        f"unknown loss 'its_loss'; plugin 'bad' of bad could not be used ({reason})"
    )
    with pytest.raises(PluginError) as caught:
        registry.get("losses", "mien")
    assert str(caught.value) == (
        f"unknown loss 'mien'; plugin 'bad' of bad could not be used ({reason}); "
        "did you mean 'mine'?"
    )


def test_two_distributions_that_offer_the_same_component(tmp_path: Path, install: Install) -> None:
    install("first", LOSS % "mine")
    install("second", LOSS % "mine")
    install("third", LOSS % "other")
    registry = discover(tmp_path)
    assert registry.names("losses") == ["first/mine", "other", "second/mine"]
    assert registry.failures == []
    (remark,) = registry.remarks
    assert remark.distribution == "second"
    assert remark.reason == (
        "loss 'mine' is also offered by first; they are reached as 'first/mine' and 'second/mine'"
    )
    assert registry.get("losses", "other").distribution == "third"
    assert registry.get("losses", "third/other").name == "other"
    assert registry.get("losses", "second/mine").distribution == "second"
    with pytest.raises(PluginError) as caught:
        registry.get("losses", "mine")
    assert str(caught.value) == (
        "loss 'mine' is offered by first and second; write 'first/mine' or 'second/mine'"
    )
    with pytest.raises(PluginError, match=r"^unknown loss 'nothing'; known: first/mine, "):
        registry.get("losses", "nothing")


@pytest.mark.parametrize("order", [("srkit", "other"), ("other", "srkit")])
def test_the_built_in_component_keeps_its_name(order: tuple[str, str]) -> None:
    registry = Registry()
    for distribution in order:
        registry.register(plugin(losses={"l1": dict}), distribution, distribution=distribution)
    assert registry.names("losses") == ["l1", "other/l1"]
    assert registry.get("losses", "l1").distribution == "srkit"
    found = registry.get("losses", "other/l1")
    assert (found.distribution, found.title) == ("other", "loss 'other/l1'")
    assert registry.failures == []
    (remark,) = registry.remarks
    assert "'other/l1'" in remark.reason
    assert registry.components("losses") == [registry.get("losses", "l1"), found]


def test_a_name_that_a_distribution_offers_twice() -> None:
    registry = Registry()
    for name, factory in (("one", dict), ("two", list)):
        registry.register(plugin(losses={"mine": factory}), name, distribution="same")
    assert registry.get("losses", "mine").factory is dict
    assert [failure.reason for failure in registry.failures] == [
        "loss 'mine' is offered twice by its distribution; only one is used"
    ]


def test_what_a_plugin_prints_and_warns_of_is_listed(
    tmp_path: Path, install: Install, capfd: pytest.CaptureFixture[str]
) -> None:
    install("loud", LOSS % "mine" + "import warnings\nprint('hello')\nwarnings.warn('old')\n")
    registry = discover(tmp_path)
    assert registry.failures == []
    assert [remark.reason for remark in registry.remarks] == [
        "when it is loaded: prints 'hello'",
        "when it is loaded: UserWarning: old",
    ]
    assert capfd.readouterr().out == ""


def test_threads_that_load_plugins_keep_standard_output(tmp_path: Path, install: Install) -> None:
    install("slow", LOSS % "mine" + "import time\ntime.sleep(0.01)\nprint('hello')\n")
    output = sys.stdout
    threads = [Thread(target=discover, args=(tmp_path,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sys.stdout is output


@pytest.mark.parametrize("place", ["module", "hook"])
def test_a_plugin_that_exits(tmp_path: Path, install: Install, place: str) -> None:
    source = LOSS % "mine"
    exits = "raise SystemExit('no GPU')"
    source = f"{exits}\n" if place == "module" else source.replace("return", f"{exits}\n    return")
    install("bad", source)
    install("good", LOSS % "other")
    registry = discover(tmp_path)
    (failure,) = registry.failures
    assert failure.reason.endswith("failed: SystemExit: no GPU")
    assert registry.names("losses") == ["other"]


@pytest.mark.parametrize(
    ("name", "hint"),
    [("srkit_losses", ""), ("srkit_loses", "; did you mean 'srkit_losses'?")],
)
def test_a_hook_without_its_decorator(
    tmp_path: Path, install: Install, name: str, hint: str
) -> None:
    source = (LOSS % "mine").replace("@hookimpl\n", "").replace("srkit_losses", name)
    install("bad", source)
    (failure,) = discover(tmp_path).failures
    assert failure.reason == (
        f"function '{name}' lacks the decorator @hookimpl, so it is not called{hint}"
    )


def test_two_distributions_with_the_same_entry_point(tmp_path: Path, install: Install) -> None:
    install("first", LOSS % "mine", point="shared")
    install("second", LOSS % "other", point="shared")
    registry = discover(tmp_path)
    assert registry.names("losses") == ["mine"]
    (failure,) = registry.failures
    assert failure.distribution == "second"
    assert failure.reason == (
        "the entry point name 'shared' is taken by first; second has to rename its own"
    )


def test_a_distribution_that_is_found_twice_counts_once(tmp_path: Path, install: Install) -> None:
    install("good", LOSS % "mine")
    twice = [*distributions(path=[str(tmp_path)]), *distributions(path=[str(tmp_path)])]
    registry = Registry.discover(twice)
    assert registry.failures == []
    assert registry.names("losses") == ["mine"]


def test_one_module_under_two_names_is_reported(tmp_path: Path) -> None:
    registry = Registry()
    same = plugin(losses={"mine": dict})
    registry.register(same, "one", distribution="first")
    registry.register(same, "two", distribution="second")
    assert registry.names("losses") == ["mine"]
    assert [failure.plugin for failure in registry.failures] == ["two"]


def test_a_misspelt_hook_fails_its_own_plugin_only(tmp_path: Path, install: Install) -> None:
    install("bad", (LOSS % "mine").replace("srkit_losses", "srkit_loses"))
    install("good", LOSS % "mine")
    registry = discover(tmp_path)
    (failure,) = registry.failures
    assert failure.plugin == "bad"
    assert failure.reason == "unknown hook 'srkit_loses'; did you mean 'srkit_losses'?"
    assert registry.get("losses", "mine").distribution == "good"


def test_a_failing_hook_leaves_the_other_hooks_of_its_plugin() -> None:
    registry = Registry()
    broken = plugin(losses=KeyError("oops"), metrics={"mine": dict})
    registry.register(broken, "half", distribution="half", version="1")
    assert [failure.reason for failure in registry.failures] == [
        "srkit_losses failed: KeyError: 'oops'"
    ]
    assert registry.names("metrics") == ["mine"]


@pytest.mark.parametrize(
    ("offered", "message"),
    [
        (["mine"], "srkit_losses must return a mapping name -> factory, got ['mine']"),
        (
            {"mine": "no_colon"},
            "srkit_losses offers 'mine': 'no_colon'; expected a name and a class, a function or an "
            "import path 'module:name'",
        ),
        (
            {3: dict},
            "srkit_losses offers 3: <class 'dict'>; expected a name and a class, a function or an "
            "import path 'module:name'",
        ),
    ],
)
def test_a_hook_that_returns_something_unusable(offered: Any, message: str) -> None:
    registry = Registry()
    registry.register(plugin(losses=offered), "odd", distribution="odd")
    assert registry.failures[0].reason == f"srkit_losses failed: TypeError: {message}"


NEWER = (
    "clouds 1.5 supports version 2 of the plugin interface, but srkit {0} has version 1; "
    "install a newer srkit"
)
OLDER = (
    "clouds 1.5 supports version 1 of the plugin interface, but srkit {0} has version 3; "
    "install a newer clouds or an older srkit"
)
NO_SRKIT = " or an older srkit"  # the interface of the first srkit had version 1


@pytest.mark.parametrize(
    ("ours", "stated", "reason"),
    [
        (1, "", None),
        (1, "SRKIT_API = 1", None),
        (1, "SRKIT_API = (1, 2)", None),
        (2, "SRKIT_API = (1, 2)", None),
        (1, "SRKIT_API = 2", NEWER),
        (1, "SRKIT_API = (2, 3)", NEWER.replace("version 2", "versions 2 and 3")),
        (3, "", OLDER),
        (3, "SRKIT_API = 1", OLDER),
        (3, "SRKIT_API = (1, 2)", OLDER.replace("version 1", "versions 1 and 2")),
        (3, "SRKIT_API = 0", OLDER.replace("version 1", "version 0").replace(NO_SRKIT, "")),
        *(
            (
                1,
                f"SRKIT_API = {value}",
                f"clouds 1.5: SRKIT_API is {value}; expected a version of the plugin interface, "
                "such as 1, or a tuple of versions",
            )
            for value in ("'1'", "1.0", "True", "()", "None")
        ),
    ],
)
def test_a_plugin_for_another_version_of_the_interface(
    ours: int,
    stated: str,
    reason: str | None,
    tmp_path: Path,
    install: Install,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hookspecs, "API_VERSION", ours)
    install("clouds", LOSS % "mine" + stated, version="1.5")
    registry = discover(tmp_path)
    if reason is None:
        assert (registry.failures, registry.names("losses")) == ([], ["mine"])
        return
    reason = reason.format(__version__)
    assert registry.failures == [Failure("clouds", "clouds", "1.5", reason)]
    with pytest.raises(PluginError) as caught:
        registry.get("losses", "mine")
    assert str(caught.value) == (
        f"unknown loss 'mine'; plugin 'clouds' of clouds could not be used ({reason})"
    )


@pytest.mark.parametrize("statement", ["SRKIT_API = 2", "SRKIT_API: int = 2"])
def test_an_import_that_fails_for_another_version(
    statement: str, tmp_path: Path, install: Install
) -> None:
    source = f"{statement}\nfrom srkit.interfaces import SomethingNew\n"
    install("clouds", source, version="1.5")
    (failure,) = discover(tmp_path).failures
    assert (failure.reason, failure.details) == (NEWER.format(__version__), "")


def test_a_plugin_for_two_versions_of_the_interface() -> None:
    @hookimpl(optionalhook=True)
    def srkit_losses() -> dict[str, Any]:
        return {"mine": dict}

    @hookimpl(optionalhook=True)
    def srkit_holograms() -> dict[str, Any]:
        raise AssertionError("a hook that only version 2 has is not called")

    both = SimpleNamespace(
        SRKIT_API=(1, 2), srkit_losses=srkit_losses, srkit_holograms=srkit_holograms
    )
    registry = Registry()
    registry.register(both, "both", distribution="both")
    assert (registry.failures, registry.names("losses")) == ([], ["mine"])


@pytest.mark.parametrize("name", ["", "data", "clouds pair", "data ", "data pair stars"])
def test_a_command_needs_a_name_and_a_known_group(name: str) -> None:
    registry = Registry()
    registry.register(plugin(commands={name: dict}), "odd", distribution="odd")
    assert registry.failures[0].reason == (
        f"srkit_commands failed: ValueError: '{name}': expected a command, such as 'stars', or "
        "a group and a command, such as 'data stars'; the groups are data, hub, models, plugin, "
        "recipe"
    )


def test_an_import_path_that_does_not_exist_is_reported_on_use() -> None:
    registry = Registry()
    lost = plugin(losses={"gone": "srkit_no_such_package:Gone", "number": "math:pi"})
    registry.register(lost, "lost", distribution="lost", version="1")
    assert registry.failures == []
    assert registry.get("losses", "gone").summary == ""
    with pytest.raises(PluginError) as caught:
        _ = registry.get("losses", "gone").factory
    assert str(caught.value) == (
        "loss 'gone' of lost 1 cannot be imported from 'srkit_no_such_package:Gone': "
        "ModuleNotFoundError: No module named 'srkit_no_such_package'"
    )
    with pytest.raises(PluginError, match="'math:pi' is not a class or function"):
        _ = registry.get("losses", "number").factory


def test_unknown_names_and_kinds_suggest_the_nearest(registry: Registry) -> None:
    with pytest.raises(PluginError, match=r"^unknown generator 'rrbd'; did you mean 'rrdb'"):
        registry.get("generators", "rrbd")
    with pytest.raises(PluginError) as caught:
        registry.names("generator")
    assert str(caught.value) == (
        "unknown kind of component 'generator'; did you mean 'generators'?"
    )
