"""Files of users: what cannot be read, written or imported is one line with the place and the remedy."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import pytest

from quantroof.errors import EnvironmentMissing, UsageError
from quantroof.files import parse_toml, read_text, read_toml, require, write_to


class _Leaf(msgspec.Struct, forbid_unknown_fields=True):
    width: int = 0


class _Tree(msgspec.Struct, forbid_unknown_fields=True):
    schema: str
    leaf: tuple[_Leaf, ...] = ()
    by_name: dict[str, _Leaf] = {}
    maybe: _Leaf | None = None


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("[[leaf]]\nwidht = 1", "file: leaf[0]: unknown key 'widht' (did you mean width?)"),
        ("[by_name.a]\nwidht = 1", "file: by_name[...]: unknown key 'widht' (did you mean width?)"),
        ("[maybe]\nwidht = 1", "file: maybe: unknown key 'widht' (did you mean width?)"),
        ("leaves = 1", "file: unknown key 'leaves' (did you mean leaf?)"),
        ("[[leaf]]\nwidth = 'a'", "file: leaf[0].width: expected `int`, got `str`"),
        ("schema", "file: not TOML: "),
    ],
)
def test_a_wrong_key_is_named_with_its_table_and_the_nearest_one(line: str, says: str) -> None:
    """Keys in a table, a list of tables and a table of tables are found; a wrong type names the key."""
    with pytest.raises(UsageError) as refused:
        parse_toml(f"schema = 's/1'\n{line}", _Tree, "file", "s/1")
    assert str(refused.value).startswith(says)


def test_another_schema_is_named_before_its_unknown_keys() -> None:
    """A file of a later version fails by its schema, not by a key that this version does not know."""
    with pytest.raises(UsageError, match="its schema is 's/2', this version reads 's/1'"):
        parse_toml("schema = 's/2'\nlater = 1", _Tree, "file", "s/1")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Absent, a folder, or not text: one line with the path, exit code 2."""
    (tmp_path / "photo").write_bytes(b"\xff\xfe\xff")
    for name, says in (("absent", "No such file"), (".", "Is a directory"), ("photo", "is not UTF-8 text")):
        with pytest.raises(UsageError, match=says) as refused:
            read_text(tmp_path / name)
        assert str(tmp_path / name) in str(refused.value)
    with pytest.raises(UsageError, match="is not UTF-8 text"):
        read_toml(tmp_path / "photo", _Tree)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A file where a folder is needed: one line, exit code 3."""
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentMissing, match="cannot be written: "):
        write_to(tmp_path / "file" / "below", lambda path: path.write_text(""))


def test_an_absent_package_and_a_broken_one_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both name the extra; a package that is there but fails says what it failed on."""
    (tmp_path / "broken_package.py").write_text("import no_such_part")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with pytest.raises(EnvironmentMissing, match="a test needs no_such_package, which is not installed"):
        require("no_such_package.part", "a test", "store")
    with pytest.raises(
        EnvironmentMissing, match=r"cannot be imported: No module named 'no_such_part'"
    ) as broken:
        require("broken_package", "a test", "store")
    assert broken.value.hint == "pip install 'duckdb>=1.1'"
