from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox_interpreter.config import Settings, convert
from sandbox_interpreter.config.settings import SPECS
from sandbox_interpreter.errors import ConfigError
from sandbox_interpreter.values import as_flag, as_variable, check_address, format_size, parse_size, written


@pytest.mark.parametrize(("text", "size"), [
    ("0", 0), ("512", 512), ("64k", 65536), ("512m", 512 * 1024**2), ("1g", 1024**3), ("1G", 1024**3),
    ("2t", 2 * 1024**4),
    ("1.5g", 3 * 1024**3 // 2), ("1gb", 1024**3), ("1GiB", 1024**3), (" 1 g ", 1024**3), ("10b", 10),
])
def test_sizes_are_read_as_people_write_them(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "g", "1x", "-1g", "1g g", "0x10", "1e3", "1,5g", "١m x"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        parse_size(text)


@given(st.integers(min_value=0, max_value=2**50))
def test_a_formatted_size_is_read_back(size: int) -> None:
    assert parse_size(format_size(size)) == size


@pytest.mark.parametrize("name", SPECS)
def test_every_example_is_a_value_of_its_setting(name: str) -> None:
    default = getattr(Settings(), name)
    assert isinstance(convert(name, SPECS[name].example), int | float | str if default is None else type(default))


@pytest.mark.parametrize("name", SPECS)
def test_every_default_is_a_value_of_its_setting(name: str) -> None:
    default = getattr(Settings(), name)
    assert convert(name, default) == default


def test_a_setting_is_written_as_its_place_demands() -> None:
    assert as_flag("env_file")("x") == "--env-file x"
    assert as_variable("env_file")("x") == "SBI_ENV_FILE=x"


@pytest.mark.parametrize(("value", "size", "text"), [
    (1024**3, True, "1g"), (1024, False, "1024"), (2.0, False, "2"), (0.1, False, "0.1"), (True, False, "true"),
    (None, False, "nothing"), ((), False, "nothing"), (("a", "b"), False, "a, b"), ("x", False, "x"),
])
def test_values_are_written_as_people_do(value: object, size: bool, text: str) -> None:
    assert written(value, size=size) == text


@pytest.mark.parametrize("text", ["", " "])
def test_an_image_without_a_name_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="image: it is empty"):
        convert("image", text)


@pytest.mark.parametrize("text", ["", "http://localhost:1234/v1", "https://[::1]/v1"])
def test_an_address_of_a_server_is_taken(text: str) -> None:
    check_address(text)


@pytest.mark.parametrize("text", ["localhost:1234/v1", "notaurl", "http://", "ftp://host", "https:///v1"])
def test_what_is_no_address_of_a_server_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="begins with http://"):
        check_address(text)
