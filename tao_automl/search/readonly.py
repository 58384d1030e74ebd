"""A storage that reads an SQLite file of Optuna's and cannot write.

Why beside Optuna's own: a reader must never create, upgrade or lock the file, and Optuna's storage needs
0.7 s to import SQLAlchemy and Alembic, where `status` has 0.5 s in all. It knows the tables of one revision,
which `sqlite.inspect` has compared before; Optuna's objects are built by Optuna's functions.
"""

from __future__ import annotations

import functools
import json
import math
import sqlite3
from collections.abc import Container, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from optuna.distributions import BaseDistribution, json_to_distribution
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, TrialState

from tao_automl.search import sqlite

_SPECIAL = {"INF_POS": math.inf, "INF_NEG": -math.inf, "NAN": math.nan}
_TABLES = {  # field: its rows of a set of trials, the trial's id first
    "params": "SELECT trial_id, param_name, param_value, distribution_json FROM trial_params "
    "WHERE trial_id IN ({ids}) ORDER BY param_id",
    "values": "SELECT trial_id, objective, value, value_type FROM trial_values "
    "WHERE trial_id IN ({ids}) ORDER BY objective",
    "steps": "SELECT trial_id, step, intermediate_value, intermediate_value_type "
    "FROM trial_intermediate_values WHERE trial_id IN ({ids})",
    "user": "SELECT trial_id, key, value_json FROM trial_user_attributes WHERE trial_id IN ({ids})",
    "system": "SELECT trial_id, key, value_json FROM trial_system_attributes WHERE trial_id IN ({ids})",
}
_TRIALS = "SELECT trial_id, number, state, datetime_start, datetime_complete FROM trials WHERE {where} ORDER BY number"

_Rows = dict[int, list[tuple[Any, ...]]]


class ReadOnlyStorage(BaseStorage):
    """What `optuna.load_study` needs to read; every call that would write raises."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def get_study_id_from_name(self, study_name: str) -> int:
        return int(self._one("SELECT study_id FROM studies WHERE study_name = ?", study_name)[0])

    def get_study_name_from_id(self, study_id: int) -> str:
        return str(self._one("SELECT study_name FROM studies WHERE study_id = ?", study_id)[0])

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        rows = self._all("SELECT direction FROM study_directions WHERE study_id = ? ORDER BY objective", study_id)
        return [StudyDirection[row[0]] for row in rows]

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        return self._attributes("study_user_attributes", study_id)

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        return self._attributes("study_system_attributes", study_id)

    def get_all_studies(self) -> list[FrozenStudy]:
        rows = self._all("SELECT study_id, study_name FROM studies ORDER BY study_id")
        return [
            FrozenStudy(
                study_name=name,
                direction=None,
                directions=self.get_study_directions(study_id),
                user_attrs=self.get_study_user_attrs(study_id),
                system_attrs=self.get_study_system_attrs(study_id),
                study_id=study_id,
            )
            for study_id, name in rows
        ]

    def get_trial(self, trial_id: int) -> FrozenTrial:
        trials = self._trials("trial_id = ?", trial_id)
        if not trials:
            raise KeyError(trial_id)
        return trials[0]

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,  # noqa: ARG002 each call builds new objects
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        trials = self._trials("study_id = ?", study_id)
        return [trial for trial in trials if states is None or trial.state in states]

    def _refuse(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        raise PermissionError(f"{self.path} is open for reading only")

    create_new_study = _refuse
    delete_study = _refuse
    set_study_user_attr = _refuse
    set_study_system_attr = _refuse
    create_new_trial = _refuse
    set_trial_param = _refuse
    set_trial_state_values = _refuse
    set_trial_intermediate_value = _refuse
    set_trial_user_attr = _refuse
    set_trial_system_attr = _refuse

    @contextmanager
    def _snapshot(self) -> Iterator[sqlite3.Connection]:
        """One read transaction: all rows of one moment."""
        with sqlite.readable(self.path), closing(sqlite.connect(self.path)) as connection:
            connection.execute("BEGIN")
            yield connection

    def _all(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._snapshot() as connection:
            return connection.execute(query, values).fetchall()

    def _one(self, query: str, *values: Any) -> tuple[Any, ...]:
        rows = self._all(query, *values)
        if not rows:
            raise KeyError(*values)
        return rows[0]

    def _attributes(self, table: str, study_id: int) -> dict[str, Any]:
        rows = self._all(f"SELECT key, value_json FROM {table} WHERE study_id = ?", study_id)
        return {key: json.loads(text) for key, text in rows}

    def _trials(self, where: str, value: int) -> list[FrozenTrial]:
        ids = f"SELECT trial_id FROM trials WHERE {where}"
        with self._snapshot() as connection:
            heads = connection.execute(_TRIALS.format(where=where), (value,)).fetchall()
            parts = {
                field: _by_trial(connection.execute(query.format(ids=ids), (value,)))
                for field, query in _TABLES.items()
            }
        return [_trial(head, {field: rows.get(head[0], []) for field, rows in parts.items()}) for head in heads]


def _by_trial(rows: sqlite3.Cursor) -> _Rows:
    grouped: _Rows = {}
    for trial_id, *rest in rows:
        grouped.setdefault(trial_id, []).append(tuple(rest))
    return grouped


def _trial(head: tuple[Any, ...], parts: dict[str, list[tuple[Any, ...]]]) -> FrozenTrial:
    trial_id, number, state, start, complete = head
    distributions = {name: _distribution(text) for name, _, text in parts["params"]}
    return FrozenTrial(
        number=number,
        state=TrialState[state],
        value=None,
        values=[_number(value, kind) for _, value, kind in parts["values"]] or None,
        datetime_start=datetime.fromisoformat(start) if start else None,
        datetime_complete=datetime.fromisoformat(complete) if complete else None,
        params={name: distributions[name].to_external_repr(value) for name, value, _ in parts["params"]},
        distributions=distributions,
        user_attrs={key: json.loads(text) for key, text in parts["user"]},
        system_attrs={key: json.loads(text) for key, text in parts["system"]},
        intermediate_values={step: _number(value, kind) for step, value, kind in parts["steps"]},
        trial_id=trial_id,
    )


def _number(value: float | None, kind: str) -> float:
    return _SPECIAL[kind] if value is None else value


@functools.lru_cache(maxsize=1024)
def _distribution(text: str) -> BaseDistribution:
    return json_to_distribution(text)
