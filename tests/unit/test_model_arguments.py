from __future__ import annotations

import json
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox_interpreter.models.arguments import Field, ObjectReader, read_object
from tests.support.events import cut_up

# What no server can send: halves of surrogate pairs that no escape names.
text = st.text(st.characters(codec="utf-8"), max_size=30)
objects = st.fixed_dictionaries({"language": text, "code": text})


def read(pieces: Iterable[str]) -> dict[str, str]:
    reader = ObjectReader()
    fields: dict[str, str] = {}
    for field in [*(each for piece in pieces for each in reader.feed(piece)), *reader.finish()]:
        fields[field.key] = fields.get(field.key, "") + field.text
    return fields


@given(objects, st.booleans(), st.booleans(), st.sampled_from([None, 2]))
def test_valid_json_is_read_as_json(value: dict[str, str], ascii_only: bool, code_first: bool,
                                    indent: int | None) -> None:
    ordered = dict(sorted(value.items(), reverse=not code_first))
    assert read_object(json.dumps(ordered, ensure_ascii=ascii_only, indent=indent)) == value


@given(st.data(), st.booleans())
def test_where_valid_json_is_cut_makes_no_difference(data: st.DataObject, ascii_only: bool) -> None:
    whole = data.draw(objects)
    _, pieces = data.draw(cut_up(st.just(json.dumps(whole, ensure_ascii=ascii_only))))
    assert read(pieces) == read("".join(pieces)) == whole


FRAGMENTS = ['{', '}', '"', "'", ':', ',', ' ', '\n', '\\', '\\"', '\\n', '\\ud83d', '\\ude00', '\\u00', 'code',
             'language', '"code"', '"language": ', 'print("a", "b")', 'x', '1', '[', ']', 'é😀']


@given(cut_up(st.lists(st.sampled_from(FRAGMENTS), max_size=20).map("".join)))
def test_where_malformed_text_is_cut_makes_no_difference(cut: tuple[str, list[str]]) -> None:
    whole, pieces = cut
    assert read(pieces) == read([whole]) == read(whole)


@pytest.mark.parametrize("at", range(70))
def test_escapes_and_pairs_cut_anywhere(at: int) -> None:
    arguments = '{"language": "python", "code": "a\\n\\u00e9\\ud83d\\ude00\\\\\\"é😀\\t"}'
    assert read([arguments[:at], arguments[at:]]) == {"language": "python", "code": 'a\né😀\\"é😀\t'}


@pytest.mark.parametrize(("arguments", "code"), [
    ('{language: "python", code: "10+12"}', "10+12"),
    ("{language: python, code: 10+12}", "10+12"),
    ("{'language': 'python', 'code': 'x = \"a\"'}", 'x = "a"'),
    ('{"language":"python","code":"print("a", "b")"}', 'print("a", "b")'),
    ('{"language":"python","code":"d = {"a": "b"}"}', 'd = {"a": "b"}'),
    ('{"language":"python","code":"print(1)\nprint(2)"}', "print(1)\nprint(2)"),
    ('{"language":"python","code":"10+12"}executeexecute', "10+12"),
    ('{"language":"python","code":"10+12"})', "10+12"),
    ('{"language":"python","code":"re.sub(r"\\d", x)"}', 're.sub(r"\\d", x)'),
    ('{"language":"python","code":"print(1', "print(1"),
    ('{"language":"python","code":"half \\ud83d"}', "half \ufffd"),
    ('{"language":"python","code":"half \\ud83d', "half \ufffd"),
    ('{"language":"python","code":"low \\ude00 \\u12zz"}', "low \ufffd \\u12zz"),
    ('{"name":"execute","arguments":{"language":"python","code":"x"}}', "x"),
    ('{"timeout": 5, "tags": ["a", "b"], "language": "python", "code": "x"}', "x"),
])
def test_what_models_write_instead_of_json(arguments: str, code: str) -> None:
    fields = read(arguments)
    assert (fields["language"], fields["code"]) == ("python", code)


@pytest.mark.parametrize("arguments", ["", "{", "{}", "nonsense", '{"x": 1}', "[1, 2]", "\\"])
def test_text_without_code_yields_no_code(arguments: str) -> None:
    assert "code" not in read_object(arguments)


def test_a_value_comes_as_it_is_written() -> None:
    reader = ObjectReader()
    assert list(reader.feed('{"code": "pri')) == [Field("code", "pri", first=True)]
    assert list(reader.feed("nt(\\")) == [Field("code", "nt(")]
    assert list(reader.feed('"x')) == [Field("code", '"x')]
    assert list(reader.feed('"')) == []
    assert list(reader.feed("}")) == []
    assert list(reader.finish()) == []
