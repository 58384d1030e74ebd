"""What comes next in a study: trials of the search until a rule ends it, then repeats of the best configs."""

from __future__ import annotations

from collections.abc import Sequence

from tao_automl import results
from tao_automl.plan import Plan
from tao_automl.search import confirm, stopping
from tao_automl.search.proposal import Proposal
from tao_automl.search.space import SearchSpace
from tao_automl.search.stopping import Best, Budget
from tao_automl.search.study import FrozenTrial, TrialState
from tao_automl.tao import keypath


def limits(plan: Plan) -> Budget:
    """What ends everything at once, repeats too."""
    return Budget(time_s=plan.settings["time"], max_failures=plan.settings["max_failures"])


def propose(plan: Plan, trials: Sequence[FrozenTrial], space: SearchSpace, best: Best | None) -> Proposal | None:
    """The next trial; None while others must end first, or if there is none. Pure.

    Args:
        space: with the ranges that the study has widened.
        best: of the search so far.
    """
    found = None if satisfied(plan, best) else plan.schedule.propose(trials, space)
    count = plan.settings["confirm"]
    if found is not None or not count:
        return found
    may_win = [
        trial
        for trial in results.ranking(trials, plan.metric)
        if trial.state == TrialState.COMPLETE and not confirm.is_repeat(trial)
    ]
    return confirm.propose(may_win, trials, count, _seed(plan))


def satisfied(plan: Plan, best: Best | None) -> str | None:
    """Why the search need not go on, although trials are left."""
    settings = plan.settings
    rules = Budget(target=settings["target"], plateau=settings["plateau"], maximize=plan.metric.maximizes)
    return stopping.satisfied(rules, best)


def over(plan: Plan, best: Best | None) -> str:
    """What is said when nothing more is proposed."""
    return satisfied(plan, best) or stopping.used_up(plan.trials)


def _seed(plan: Plan) -> int:
    key = plan.skill.facts.keys.seed
    found = keypath.get(plan.launch.spec, key, None) if key else None
    return found if isinstance(found, int) else 0
