from __future__ import annotations

from pathlib import Path

import pytest

from sandbox_interpreter.catalogue import host


def test_proxies_are_passed_in_both_spellings() -> None:
    environ = {"http_proxy": "http://proxy.example:3128", "NO_PROXY": "localhost", "PATH": "/bin", "https_proxy": ""}
    assert host.build_arguments(environ, []) == {"http_proxy": "http://proxy.example:3128", "NO_PROXY": "localhost"}


def test_the_pip_index_comes_from_pips_files_the_last_one_winning(tmp_path: Path) -> None:
    first, second = tmp_path / "1.conf", tmp_path / "2.conf"
    first.write_text("[global]\nindex-url = https://one.example/simple\ntrusted-host = one.example\n")
    second.write_text("[install]\nindex-url = https://two.example/simple\n")
    assert host.build_arguments({}, [first, second, tmp_path / "absent"]) == {
        "PIP_INDEX_URL": "https://two.example/simple", "PIP_TRUSTED_HOST": "one.example"}


def test_the_environment_wins_over_pips_files(tmp_path: Path) -> None:
    path = tmp_path / "pip.conf"
    path.write_text("[global]\nindex-url = https://one.example/simple\n")
    environ = {"PIP_INDEX_URL": "https://env.example/simple"}
    assert host.build_arguments(environ, [path]) == {"PIP_INDEX_URL": "https://env.example/simple"}


def test_paths_of_the_host_mean_nothing_in_a_build() -> None:
    environ = {"PIP_INDEX_URL": "file:///srv/simple", "PIP_EXTRA_INDEX_URL": "file:///x http://two.example/simple /y"}
    assert host.build_arguments(environ, []) == {"PIP_EXTRA_INDEX_URL": "http://two.example/simple"}


def test_values_with_percent_signs_are_taken_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "pip.conf"
    path.write_text("[global]\nindex-url = https://u:p%40s@one.example/simple\n")
    assert host.build_arguments({}, [path]) == {"PIP_INDEX_URL": "https://u:p%40s@one.example/simple"}


@pytest.mark.parametrize("content", [b"no section\n", b"\xff\xfe", b"[global]\nx=1\nx=2\n"])
def test_a_broken_pip_file_is_left_to_pip(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "pip.conf"
    path.write_bytes(content)
    assert host.build_arguments({}, [path]) == {}


def test_pips_files_are_looked_for_where_pip_looks() -> None:
    files = host.pip_config_files({"PIP_CONFIG_FILE": "/named.conf", "XDG_CONFIG_HOME": "/own"})
    assert files[-1] == Path("/named.conf")
    assert Path("/own/pip/pip.conf") in files
    assert Path("/etc/pip.conf") in files
