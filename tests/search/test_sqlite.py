from __future__ import annotations

import hashlib
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tao_automl.errors import StudyError
from tao_automl.search import sqlite, study


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _text(path: Path) -> None:
    path.write_text("trials: none\n" * 100)


def _foreign(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE songs (title TEXT)")


def _directory(path: Path) -> None:
    path.mkdir()


def _cut(path: Path) -> None:
    study.open_storage(f"sqlite:///{path}")
    path.write_bytes(path.read_bytes()[:5000])


def _old(path: Path) -> None:
    study.open_storage(f"sqlite:///{path}")
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'v2.6.0.a'")
        connection.execute("DROP TABLE trial_heartbeats")


def _new(path: Path) -> None:
    study.open_storage(f"sqlite:///{path}")
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'v9.0.0.a'")
        connection.execute("CREATE TABLE trial_wishes (wish TEXT)")


MODES = {
    "status": study.open_readonly,
    "resume": lambda url: study.open_storage(url, create=False),
    "run": study.open_storage,
}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_text, "file is not a database"),
        (_foreign, "the database of another program: it has a table 'songs'"),
        (_directory, "unable to open database file"),
        (_cut, "malformed"),
        (_old, "no longer compatible with the table schema"),
        (_new, "no longer compatible with the table schema"),
    ],
)
@pytest.mark.parametrize("mode", MODES)
def test_a_file_that_is_no_storage_is_refused_in_one_sentence_and_left_alone(url, tmp_path, damage, message, mode):
    path = tmp_path / "studies.db"
    damage(path)
    before = digest(path) if path.is_file() else None
    with pytest.raises(StudyError) as raised:
        MODES[mode](url)
    assert message in raised.value.message
    assert "\n" not in raised.value.message
    assert raised.value.tip
    assert before == (digest(path) if path.is_file() else None)


def test_a_storage_that_was_cut_short_while_it_was_made_is_finished_by_the_next_run(url, tmp_path, metric, space, made):
    with sqlite3.connect(tmp_path / "studies.db") as connection:
        connection.execute("CREATE TABLE studies (study_id INTEGER NOT NULL, study_name VARCHAR(512) NOT NULL)")
    with pytest.raises(StudyError, match="no studies in"):
        study.open_readonly(url)
    (tmp_path / "studies.db").write_bytes(b"")
    made(study.open_storage(url), metric, space)
    assert study.names(study.open_readonly(url)) == ("first",)


def test_a_transaction_that_a_killed_writer_left_open_is_rolled_back_for_readers(url, tmp_path, metric, space, made):
    made(study.open_storage(url), metric, space)
    code = (
        "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); "
        "c.execute('PRAGMA cache_size = 1'); c.execute('BEGIN'); "
        "[c.execute('INSERT INTO study_user_attributes (study_id, key, value_json) VALUES (1, ?, ?)', "
        "(f'k{i}', '0' * 5000)) for i in range(50)]; os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "studies.db")], check=False)
    assert (tmp_path / "studies.db-journal").exists()
    loaded = study.load(study.open_readonly(url), "first")
    assert "k0" not in loaded.user_attrs


# ---- the file


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("sqlite:///studies.db", Path("studies.db")),
        ("sqlite:////data/a b/studies.db", Path("/data/a b/studies.db")),
        ("sqlite://", None),
        ("sqlite:///", None),
        ("sqlite:///:memory:", None),
        ("postgresql://host/studies", None),
    ],
)
def test_the_file_of_a_url_is_told_if_there_is_one(text, path):
    assert sqlite.path_of(text) == path


def test_a_url_with_a_question_mark_is_refused():
    with pytest.raises(StudyError, match=r"may not hold a '\?'"):
        sqlite.path_of("sqlite:///studies.db?mode=ro")


def test_a_connection_neither_writes_nor_makes_a_file(tmp_path):
    path = tmp_path / "songs.db"
    with pytest.raises(sqlite3.OperationalError):
        sqlite.connect(path)
    assert not path.exists()
    _foreign(path)
    with closing(sqlite.connect(path)) as connection, pytest.raises(sqlite3.OperationalError, match="readonly"):
        connection.execute("INSERT INTO songs VALUES ('x')")
    assert sqlite.tables(path) == {"songs"}


def test_a_file_is_empty_ready_or_of_another_revision(url, tmp_path):
    path = tmp_path / "studies.db"
    path.touch()
    assert sqlite.tables(path) == frozenset()
    assert sqlite.inspect(path) is sqlite.State.EMPTY
    study.open_storage(url)
    assert sqlite.inspect(path) is sqlite.State.READY
    for change in (_old, _new):
        other = tmp_path / f"{change.__name__}.db"
        change(other)
        assert sqlite.inspect(other) is sqlite.State.OTHER
