"""Writes the schemas, the manifest and the spec templates of every skill from their source.

python skills/source/generate.py            write what differs
python skills/source/generate.py --check    say what differs, and end with 1 if anything does
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import deformable_detr
import dino
import grounding_dino
import mask_grounding_dino
import schema
from schema import Model

SKILLS = Path(__file__).resolve().parent.parent
MODELS = (dino.MODEL, deformable_detr.MODEL, grounding_dino.MODEL, mask_grounding_dino.MODEL)
GENERATED = ("schemas/*.json", "references/spec_template_*.yaml")


def files(model: Model) -> dict[str, str]:
    """Every generated file of a skill, by its path below the skill's folder."""
    made = {"schemas/manifest.json": schema.as_json(schema.manifest(model))}
    for action in model.actions:
        made[f"schemas/{action}.schema.json"] = schema.as_json(schema.document(model, action))
        made[f"references/spec_template_{action}.yaml"] = schema.template(model, action)
    return made


def differences(folder: Path, wanted: dict[str, str]) -> dict[str, str]:
    """What is wrong with the generated files of a folder, by path: missing, differs or stale."""
    found = {}
    for name, text in wanted.items():
        path = folder / name
        if not path.is_file():
            found[name] = "is missing"
        elif path.read_text(encoding="utf-8") != text:
            found[name] = "differs"
    present = (path.relative_to(folder).as_posix() for pattern in GENERATED for path in folder.glob(pattern))
    found.update({name: "is stale" for name in present if name not in wanted})
    return found


def write(folder: Path, wanted: dict[str, str], wrong: dict[str, str]) -> None:
    """Write or delete the files that are wrong."""
    for name in wrong:
        path = folder / name
        if name not in wanted:
            path.unlink()
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(wanted[name], encoding="utf-8", newline="\n")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Write the generated files of every skill.")
    parser.add_argument("--check", action="store_true", help="only say what differs; exit 1 if anything does")
    parser.add_argument("--skills", type=Path, default=SKILLS, help="folder of the skills")
    chosen = parser.parse_args(arguments)
    drift = False
    for model in MODELS:
        folder, wanted = chosen.skills / model.folder, files(model)
        wrong = differences(folder, wanted)
        drift = drift or bool(wrong)
        for name, what in wrong.items():
            done = "written" if name in wanted else "deleted"
            print(f"{model.folder}/{name} {what if chosen.check else done}")
        if not chosen.check:
            write(folder, wanted, wrong)
    if drift and chosen.check:
        print("run: python skills/source/generate.py", file=sys.stderr)
    return int(drift and chosen.check)


if __name__ == "__main__":
    sys.exit(main())
