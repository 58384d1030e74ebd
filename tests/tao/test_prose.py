"""The metric in the text of a skill, in the forms that TAO's texts have."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tao_automl.tao import prose
from tao_automl.tao.prose import Named


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("- **AutoML training metric:** `val_miou` (maximize).", Named("val_miou", "maximize")),
        ("- **AutoML training metric:** `val_acc`, with `direction=maximize`", Named("val_acc", "maximize")),
        ("* Monitoring metric: loss (minimise)", Named("loss", "minimize")),
        ("- **Monitoring metric:** val/d1, val/loss", Named("val/d1", None)),
        ("- **Monitoring metric:** val Precision at Rank 1", Named("val Precision at Rank 1", None)),
        ("  • Monitoring metric: [bbox] val_mAP@50", Named("[bbox] val_mAP@50", None)),
        ("- Monitoring metric: mAP50 for quick checks;\nval_mAP for papers", Named("mAP50", None)),
        (
            "**Monitoring metric:** cmc_rank_1\n\nLaunches must optimize `cmc_rank_1` with\n`direction: maximize`;",
            Named("cmc_rank_1", "maximize"),
        ),
        (
            "- **Standalone evaluation metric:** `test_acc`, with `direction=maximize`\n"
            "- **Monitoring metric:** `val_acc`\n- **AutoML training metric:** `val_f1` (maximize)",
            Named("val_f1", "maximize"),
        ),
        ("**Evaluation metric:** `test_miou` (maximize)", None),
        ("The metric is fine. Metrics: many", None),
        ("", None),
    ],
)
def test_a_metric_is_read_as_it_is_labelled(text: str, named: Named | None) -> None:
    assert prose.read(text) == named


def test_a_direction_may_stand_in_another_text_of_the_skill(tmp_path: Path) -> None:
    (tmp_path / "references").mkdir()
    (tmp_path / "SKILL.md").write_text("- **Monitoring metric:** val_acc\n")
    assert prose.metric(tmp_path) == Named("val_acc", None)
    (tmp_path / "references" / "tao-deploy-x.md").write_text("direction: minimize\n")
    (tmp_path / "references" / "tuning.md").write_text('use `direction="maximize"`\n')
    assert prose.metric(tmp_path) == Named("val_acc", "maximize")


def test_directions_that_differ_say_nothing(tmp_path: Path) -> None:
    (tmp_path / "SKILL.md").write_text("Monitoring metric: a\n`b` direction: maximize\n`c` direction: minimize\n")
    assert prose.metric(tmp_path) == Named("a", None)


def test_a_folder_without_texts_names_nothing(tmp_path: Path) -> None:
    assert prose.metric(tmp_path) is None


@given(st.text(max_size=80), st.text(max_size=60))
def test_any_text_is_read_or_says_nothing(before: str, said: str) -> None:
    found = prose.read(f"{before}\nMonitoring metric: {said}")
    assert found is None or (found.name == found.name.strip() and found.direction in (None, "maximize", "minimize"))
