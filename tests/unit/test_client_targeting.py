"""Which engines, which parts, which dependencies, which flags a user means."""

from __future__ import annotations

import threading
from typing import Any

import msgspec
import numpy as np
import pytest

from hippodrome.client.dependency import Dependency, as_dependencies
from hippodrome.client.link.connecting import (
    check_no_extra,
    check_timeouts,
    find_source,
    from_older_name,
)
from hippodrome.client.link.overssh import way_by_ssh
from hippodrome.client.results.result import AsyncResult
from hippodrome.client.views.balanced import LoadBalancedView
from hippodrome.client.views.broadcast import BroadcastView
from hippodrome.client.views.direct import DirectView
from hippodrome.client.views.flags import TaskFlags
from hippodrome.client.views.partition import check_chunksize, join, part
from hippodrome.client.views.targeting import checked, engines_of, ids_of, named
from hippodrome.errors import KernelError, NoEnginesRegistered
from hippodrome.protocol.messages import Dependencies, EngineId, EngineInfo, MsgId, Options, PeerId

IDS = [0, 2, 5]


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        (None, "all"),
        ("all", "all"),
        (2, 2),
        (-1, 5),
        (slice(None), [0, 2, 5]),
        (slice(1, None), [2, 5]),
        (slice(None, None, 2), [0, 5]),
        ([5, 0], [5, 0]),
        ((0, -1), [0, 5]),
        (range(1), [0]),
        ([], []),
    ],
)
def test_targets_become_ids(targets: Any, expected: Any) -> None:
    assert checked(targets, IDS) == expected


def test_an_engine_that_is_not_there_is_an_index_error_that_names_those_there() -> None:
    for targets in (1, -4, [0, 1], 99):
        for kind in (IndexError, KeyError, KernelError):  # by what programs catch
            with pytest.raises(kind, match=r"^there is no engine .*; there are 0, 2, 5$"):
                checked(targets, IDS)


def test_where_there_are_no_engines_at_all_none_can_be_named() -> None:
    for targets in (0, -1, [0], slice(None)):
        with pytest.raises(NoEnginesRegistered, match="ipengine"):
            checked(targets, [])
    assert checked("all", []) == "all"
    assert checked(slice(7, 9), IDS) == []


@pytest.mark.parametrize("targets", ["some", 1.5, True, [True], ["a"], object()])
def test_what_names_no_engines_is_a_type_error(targets: Any) -> None:
    with pytest.raises(TypeError):
        ids_of(targets, IDS)


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        (None, None),
        ("all", None),
        (5, [5]),
        (-1, [5]),
        ("u2", [2]),
        (b"u2", [2]),
        ([b"u5", 0, "u2"], [5, 0, 2]),
        (slice(1, None), [2, 5]),
    ],
)
def test_engines_may_be_named_by_their_uuids(targets: Any, expected: Any) -> None:
    infos = [EngineInfo(EngineId(n), PeerId(f"u{n}"), PeerId("n"), "host", 1) for n in IDS]
    present = {info.engine: info for info in infos}
    assert named(targets, present) == expected
    for stranger in ("u7", b"\xff", [0, "u7"], 7):
        with pytest.raises(IndexError, match="there are 0, 2, 5"):
            named(stranger, present)
    with pytest.raises(TypeError):
        named(1.5, present)


def test_all_is_evaluated_at_each_call_and_a_list_is_kept() -> None:
    assert engines_of("all", {0: None, 3: None}) == [0, 3]
    assert engines_of([5, 0], {0: None, 5: None}) == [5, 0]
    with pytest.raises(IndexError):
        engines_of([5], {0: None})
    with pytest.raises(NoEnginesRegistered, match="ipengine"):
        engines_of("all", {})


@pytest.mark.parametrize("dist", ["b", "r"])
@pytest.mark.parametrize("n", [1, 2, 3, 7])
@pytest.mark.parametrize("length", [0, 1, 5, 6])
def test_parts_put_together_are_the_whole(dist: str, n: int, length: int) -> None:
    for whole in (list(range(length)), np.arange(length)):
        parts = [part(whole, i, n, dist) for i in range(n)]
        sizes = [len(piece) for piece in parts]
        assert max(sizes) - min(sizes) <= 1
        assert list(join(parts, dist)) == list(range(length))
        assert type(join(parts, dist)) is type(whole)


def test_a_flattened_part_is_an_element_again() -> None:
    assert join([1, 2, [3, 4]]) == [1, 2, 3, 4]


class FakeClient:
    """What views need in order to be made."""

    session = "fake"
    block = False
    _io = None

    def _ids_of(self, targets: Any) -> list[EngineId]:
        return ids_of(targets, IDS)

    def _engines_of(self, targets: Any) -> list[EngineId]:
        return [EngineId(one) for one in IDS]

    def _checked_targets(self, targets: Any) -> Any:
        return checked(targets, IDS)


@pytest.fixture
def view() -> LoadBalancedView:
    return LoadBalancedView(FakeClient())  # type: ignore[arg-type]


def result(*msg_ids: str) -> AsyncResult:
    client: Any = FakeClient()
    return AsyncResult(client, [MsgId(msg_id) for msg_id in msg_ids], "f", single=False)


def test_a_dependency_is_a_set_of_msg_ids() -> None:
    dependency = Dependency([result("a", "b"), "c"], all=False)
    assert dependency == {"a", "b", "c"}
    assert Dependency(result("a")) == Dependency("a") == {"a"}
    assert as_dependencies(dependency) == Dependencies(
        [MsgId("a"), MsgId("b"), MsgId("c")], all=False
    )
    assert as_dependencies(None) is as_dependencies([]) is None
    assert dependency.as_dict()["dependencies"] == ["a", "b", "c"]


@pytest.mark.parametrize("jobs", [5, [5], object(), [[1]], b"a"])
def test_what_is_no_dependency_is_a_value_error(jobs: Any, view: LoadBalancedView) -> None:
    with pytest.raises(ValueError, match="no dependency"):
        Dependency(jobs)
    with pytest.raises(ValueError, match="no dependency"):
        view.set_flags(after=jobs)


def test_a_dependency_that_counts_nothing_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="success, failure"):
        Dependency("a", success=False, failure=False)


@pytest.mark.parametrize(
    ("options", "met", "unreachable"),
    [
        ({}, False, True),
        ({"all": False}, True, False),
        ({"failure": True}, True, False),
        ({"success": False, "failure": True}, False, True),
        ({"success": False, "failure": True, "all": False}, True, False),
    ],
)
def test_a_dependency_is_checked_against_what_ended(
    options: dict[str, bool], met: bool, unreachable: bool
) -> None:
    dependency = Dependency(["good", "bad"], **options)
    assert dependency.check({"good"}, {"bad"}) is met
    assert dependency.unreachable({"good"}, {"bad"}) is unreachable
    assert not dependency.unreachable(set(), set())
    assert not dependency.check(set(), set())
    assert Dependency().check(set())
    assert dependency.check({"good", "bad"}, None) is Dependency(dependency, **options).check(
        {"good", "bad"}
    )
    assert not dependency.unreachable([], None)


def test_flags_of_the_default_ask_nothing_of_the_scheduler(view: LoadBalancedView) -> None:
    assert view._flags.options() is None


def test_flags_reach_the_scheduler(view: LoadBalancedView) -> None:
    assert view.set_flags(retries=2, timeout=1.5, label="mine", targets=[0, -1]) is view
    options = view._flags.options()
    assert options is not None
    assert (options.retries, options.timeout_s, options.label) == (2, 1.5, "mine")
    assert options.targets == [0, 5]
    view.after = "a"
    view.targets = None
    assert view.after == "a"
    options = view._flags.options()
    assert options is not None
    assert options.after == Dependencies([MsgId("a")])
    assert options.targets is None


@pytest.mark.parametrize(
    ("flags", "error"),
    [
        ({"nonsense": 1}, KeyError),
        ({"timeout": -1}, ValueError),
        ({"timeout": float("nan")}, ValueError),
        ({"timeout": "soon"}, TypeError),
        ({"retries": -1}, ValueError),
        ({"retries": 1.5}, TypeError),
        ({"retries": 1 << 63}, ValueError),
        ({"label": 3}, TypeError),
        ({"label": "\udc80"}, ValueError),
        ({"after": "\udc80"}, ValueError),
        ({"follow": Dependency(["\udc80"])}, ValueError),
        ({"targets": 7}, IndexError),
    ],
)
def test_a_wrong_flag_changes_nothing(
    view: LoadBalancedView, flags: dict[str, Any], error: type[Exception]
) -> None:
    before = view._flags
    with pytest.raises(error):
        view.set_flags(**flags)
    assert view._flags is before


@pytest.mark.parametrize("timeout", [10**400, float("inf"), 0.5])
def test_whatever_timeout_is_allowed_can_be_sent(view: LoadBalancedView, timeout: float) -> None:
    options = view.set_flags(timeout=timeout, retries=(1 << 63) - 1)._flags.options()
    assert msgspec.msgpack.encode(options)


def test_temporary_flags_end_with_their_block(view: LoadBalancedView) -> None:
    with view.temp_flags(label="inner", block=True):
        assert (view.label, view.block) == ("inner", True)
        with view.temp_flags(label="innermost"):
            assert (view.label, view.block) == ("innermost", True)
        assert view.label == "inner"
    assert (view.label, view.block) == (None, False)


def test_a_view_blocks_as_its_client_did_when_it_was_made() -> None:
    client: Any = FakeClient()
    before = [LoadBalancedView(client), DirectView(client), BroadcastView(client)]
    client.block = True
    after = [LoadBalancedView(client), DirectView(client), BroadcastView(client)]
    client.block = False
    assert [view.block for view in before] == [False] * 3
    assert [view.block for view in after] == [True] * 3
    for view in after:
        assert view.set_flags(block=False).block is False
        assert view.set_flags(block=None).block is True


def test_temporary_flags_are_not_seen_by_other_threads(view: LoadBalancedView) -> None:
    seen: list[Any] = []
    with view.temp_flags(label="mine"):
        thread = threading.Thread(target=lambda: seen.append(view.label))
        thread.start()
        thread.join()
    assert seen == [None]


def test_a_direct_view_keeps_checked_targets() -> None:
    client: Any = FakeClient()
    view = DirectView(client, slice(0, 2))
    assert view.targets == [0, 2]
    assert len(view) == 2
    assert len(DirectView(client, 5)) == 1


def test_an_unknown_argument_is_a_type_error_with_a_guess() -> None:
    with pytest.raises(TypeError, match="'profil'; did you mean 'profile'"):
        check_no_extra({"profil": 1}, ["profile", "timeout"])


def test_ssh_is_a_way_and_who_asks_for_paramiko_is_told() -> None:
    assert way_by_ssh(None, None, None, None, False) is None
    way = way_by_ssh("a.json", "me@site:22", "~/.ssh/id", "open sesame", None)
    assert way is not None
    assert (way.server, way.key, way.place) == ("me@site:22", "~/.ssh/id", None)
    assert "sesame" not in repr(way)
    with pytest.warns(UserWarning, match="system's ssh"):
        way_by_ssh(None, "site", None, None, True)
    with pytest.raises(TypeError, match="sshserver must be text"):
        way_by_ssh(None, 7, None, None, None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="names no host"):
        way_by_ssh(None, "-oProxyCommand=x", None, None, None)


def test_a_url_is_the_way_to_a_cluster_and_no_file() -> None:
    way = way_by_ssh("ssh://site/work?cluster_id=x", None, None, None, None)
    source = find_source("ssh://site/work?cluster_id=x", ssh=way)
    assert source.path is None
    assert source.ssh is way


def test_an_address_is_no_connection_file() -> None:
    with pytest.raises(ValueError, match="connection file"):
        find_source("tcp://127.0.0.1:1234")
    with pytest.raises(TypeError):
        find_source(5)  # type: ignore[arg-type]


def test_the_profile_and_the_cluster_id_name_the_file(tmp_path: Any) -> None:
    source = find_source(None, profile="p", ipython_dir=str(tmp_path), cluster_id="c")
    assert source.path == tmp_path / "profile_p" / "security" / "ipcontroller-c-client.json"
    source = find_source(None, profile_dir=str(tmp_path / "here"))
    assert source.path == tmp_path / "here" / "security" / "ipcontroller-client.json"


@pytest.mark.parametrize("size", [1.5, "2", None, True])
def test_a_chunk_has_a_whole_number_of_elements(size: Any) -> None:
    with pytest.raises(TypeError, match="chunksize must be an int"):
        check_chunksize(size)
    check_chunksize(np.int64(2))
    with pytest.raises(ValueError, match="at least 1"):
        check_chunksize(0)


@pytest.mark.parametrize("value", ["a", None, [1]])
def test_a_client_says_which_timeout_is_no_number(value: Any) -> None:
    with pytest.raises(TypeError, match="controller_timeout must be a number of seconds"):
        check_timeouts(timeout=1, controller_timeout=value)


def test_no_targets_at_all_are_told_apart_from_no_engines() -> None:
    with pytest.raises(NoEnginesRegistered, match="targets are empty"):
        engines_of([], IDS)
    with pytest.raises(NoEnginesRegistered, match="start some"):
        engines_of([], [])
    for scheme in ("", "leastload"):
        with pytest.raises(NoEnginesRegistered, match="targets are empty"):
            TaskFlags(targets=[]).options(scheme)
    assert TaskFlags(targets=[0]).options() == TaskFlags(targets=0).options()


@pytest.mark.parametrize(
    ("flag", "value"),
    [("after", "a"), ("follow", ["a"]), ("targets", [0]), ("timeout", 0.5), ("retries", 1)],
)
def test_what_the_pure_scheme_does_not_serve_is_told_at_the_call(flag: str, value: Any) -> None:
    flags = TaskFlags(**{flag: value})
    with pytest.raises(RuntimeError, match=f"'pure', which does not serve {flag}: start"):
        flags.options("pure")
    assert flags.options("lru") == flags.options() is not None
    assert TaskFlags(label="so", timeout=0, retries=0).options("pure") == Options(label="so")


def test_a_connection_file_under_its_oldest_name_is_used_with_a_warning() -> None:
    extra = {"url_or_file": "a.json", "profil": "x"}
    with pytest.warns(DeprecationWarning, match="connection_info"):
        assert from_older_name(extra, None) == "a.json"
    assert extra == {"profil": "x"}
    assert from_older_name(extra, "b.json") == "b.json"
