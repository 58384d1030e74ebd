"""Folders of skills: the ones we ship and those that a user names, searched as one.

A root is a skill's own folder or holds skills at any depth, as TAO's bank does. Of two skills of one name the
one in the earlier root counts. An `automl.yaml` also serves a skill of the same folder name that has none: so
a bank that is read-only gets its lines from a folder beside it, and TAO's own folder of a model that we ship
gets ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tao_automl.errors import AutoMLError, UsageError, near
from tao_automl.tao import derived, skill, yamlfile
from tao_automl.tao.skill import FACTS, INFO, Info, Skill

_DEPTH = 5  # folders between a root and a skill
_INNER = frozenset({"references", "schemas", "scripts", "node_modules", "__pycache__"})


@dataclass(frozen=True)
class Broken:
    """A skill folder that cannot be read, and why."""

    folder: Path
    model: str
    error: AutoMLError


@dataclass(frozen=True)
class Bank:
    """What the roots hold: skill folders by their name, and files of facts by the name of their folder."""

    roots: tuple[Path, ...]
    folders: Mapping[str, Path]
    facts: Mapping[str, Path]

    @classmethod
    def of(cls, *roots: Path, lenders: Sequence[Path] = ()) -> Bank:
        """Look for skills; none is read yet.

        Args:
            lenders: roots of which only files of facts count.

        Raises:
            UsageError: a root is no folder.
        """
        folders: dict[str, Path] = {}
        facts: dict[str, Path] = {}
        for number, root in enumerate((*roots, *lenders)):
            if not root.is_dir():
                raise UsageError(f"{root} is no folder", tip="name a skill's folder, or one that holds skills")
            for folder in _skills(root, _DEPTH):
                name = folder.resolve().name
                if (folder / INFO).is_file() and number < len(roots):
                    folders.setdefault(name, folder)
                if (folder / FACTS).is_file():
                    facts.setdefault(name, folder / FACTS)
        return cls(roots, folders, facts)

    def load(self, folder: Path) -> Skill:
        """One skill. Facts that stand elsewhere count if they fit its schema, which may be of another release.

        Raises:
            SkillError, ConfigError: it cannot be read.
        """
        elsewhere = self._elsewhere(folder)
        found = skill.load(folder, elsewhere)
        if elsewhere is None:
            return found
        fields, facts = found.schema("train").fields, found.facts
        named = {*facts.search.ranges, *facts.search.also, *(item.path for item in facts.launch)}
        named |= {path for path in vars(facts.keys).values() if path}
        return found if named <= set(fields) else skill.load(folder)

    def all(self) -> tuple[tuple[Skill, ...], tuple[Broken, ...]]:
        """Every skill by model name, and the folders that cannot be read."""
        read = [self._read(folder) for folder in self.folders.values()]
        found: dict[str, Skill] = {}
        for item in read:
            if isinstance(item, Skill):
                found.setdefault(item.model, item)
        broken = tuple(item for item in read if isinstance(item, Broken))
        return tuple(sorted(found.values(), key=lambda item: item.model)), broken

    def find(self, name: str) -> Skill:
        """The skill that users call `name`: its folder with or without prefix, its model, network or alias.

        Raises:
            UsageError: no skill has the name, or several have.
            SkillError, ConfigError: the skill of that name cannot be read.
        """
        wanted = _plain(name)
        models = {folder: self._model(folder) for folder in self.folders.values()}
        for folder, model in models.items():
            if wanted in (_plain(folder.resolve().name), derived.model_of(folder), _plain(model)):
                return self.load(folder)
        matches = [folder for folder in models if wanted in _names(folder)]
        if len(matches) > 1:
            which = ", ".join(sorted(models[folder] for folder in matches))
            raise UsageError(f"{len(matches)} models are called '{name}'", tip=f"say which: {which}")
        if matches:
            return self.load(matches[0])
        tip = near(wanted, models.values())
        raise UsageError(f"no model '{name}'", tip=f"{tip} tao-automl models lists them".strip(), code="model-unknown")

    def only(self) -> Skill:
        """The skill, if there is one only.

        Raises:
            UsageError: there is none, or more.
            SkillError, ConfigError: it cannot be read.
        """
        where = " and ".join(str(root) for root in self.roots)
        if not self.folders:
            raise UsageError(f"{where} holds no skill", tip=f"a skill is a folder with {INFO}", code="no-skill")
        if len(self.folders) > 1:
            models = sorted(self._model(folder) for folder in self.folders.values())
            shown = ", ".join(models[:12]) + (" …" if len(models) > 12 else "")
            raise UsageError("no model is named", tip=f"--model NAME says which of {where}: {shown}")
        return self.load(next(iter(self.folders.values())))

    def _read(self, folder: Path) -> Skill | Broken:
        try:
            return self.load(folder)
        except AutoMLError as error:
            return Broken(folder, derived.model_of(folder), error)

    def _elsewhere(self, folder: Path) -> Path | None:
        return None if (folder / FACTS).is_file() else self.facts.get(folder.resolve().name)

    def _model(self, folder: Path) -> str:
        """What a model is called, without reading all of its skill."""
        path = self._elsewhere(folder) or folder / FACTS
        try:
            data = yamlfile.load(path)[0] if path.is_file() else None
        except AutoMLError:
            data = None
        named = data.get("model") if isinstance(data, dict) else None
        return named if isinstance(named, str) else derived.model_of(folder)


def _names(folder: Path) -> set[str]:
    """What a model is called beside its folder; nothing if its skill_info.yaml cannot be read."""
    try:
        reader, info = Info.read(folder / INFO)
    except AutoMLError:
        return set()
    return {_plain(name) for name in reader.names(info)}


def _skills(folder: Path, depth: int) -> Iterator[Path]:
    """The folder itself, or those below it, that hold a skill or facts of one; by name."""
    if (folder / INFO).is_file() or (folder / FACTS).is_file():
        yield folder
        return
    if depth == 0:
        return
    try:
        below = sorted(path for path in folder.iterdir() if path.is_dir())
    except OSError:
        return
    for path in below:
        if path.name not in _INNER and not path.name.startswith("."):
            yield from _skills(path, depth - 1)


def _plain(name: str) -> str:
    return "_".join(name.strip().lower().replace("-", "_").split())
