"""Population based training (Jaderberg et al. 2017, "Population Based Training of Neural Networks").

The trials are the members of a population. Every so many epochs the worst fifth of it takes over weights and values
from one of the best fifth (exploit) and changes the values (explore): times 0.8 or 1.2, or drawn anew; the others go
on as they are. A part of a training between two such steps is a trial of its own: a run of the container from the
parent's weights, with a fresh optimizer where the values have changed, because a resumed one keeps its old learning
rate.

The steps are synchronous: a generation is compared when all of it has ended. Parameters that shape the network are
taken over, never changed: other shapes would leave weights out.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.trial import FrozenTrial

from tao_automl.errors import UsageError
from tao_automl.search.attributes import INFEASIBLE
from tao_automl.search.parameter import Domain, Encoding, Parameter
from tao_automl.search.proposal import CONFIG, EXPLORED, PROMOTED, Proposal, Start, budget_of, is_proposed
from tao_automl.search.rungs import FINISHED, Terms, configs
from tao_automl.search.space import SearchSpace

QUANTILE = 0.2  # of the population that is replaced, and from which it is
RESAMPLE = 0.25  # of the values are drawn anew instead of changed
FACTORS = (0.8, 1.2)
FEWEST = 4  # members, for a best and a worst fifth that are not the same


def ends(terms: Terms) -> tuple[int, ...]:
    """The epochs at which generations end; the last one may be longer or shorter by half an interval."""
    count = max(1, round(terms.epochs / terms.interval))
    return (*(terms.interval * number for number in range(1, count)), terms.epochs)


def check(terms: Terms) -> None:
    """Raises:
    UsageError: too few trials or epochs, or a model that cannot start from another one's weights.
    """
    if not terms.weights:
        raise UsageError(
            "pbt goes on from the weights of other trials, and the skill names no key that takes them",
            tip="--algorithm asha or auto needs none",
        )
    if terms.configs < FEWEST:
        raise UsageError(
            f"a population of {terms.configs} has no best and no worst fifth", tip=f"--trials {FEWEST} or more"
        )
    if len(ends(terms)) < 2:
        raise UsageError(
            f"an interval of {terms.interval} leaves {terms.epochs} epochs without a step of exploit and explore",
            tip="give more --epochs, or a shorter --pbt-interval",
        )


def propose(trials: Sequence[FrozenTrial], terms: Terms, space: SearchSpace) -> Proposal | None:
    """A member of the first generation, or the next part of one when its generation has ended."""
    steps = ends(terms)
    if len(configs(trials)) < terms.configs:
        return Proposal(epochs=steps[0])
    done = 0
    for end, following in itertools.pairwise(steps):
        members, begun = _generation(trials, end, terms), _generation(trials, following, terms)
        if not all(trial.state.is_finished() for trial in members):
            return None
        usable = _ranked(members, done, terms)
        if usable and len(begun) < len(members):
            return _next(usable, len(members), len(begun), Ahead(following, terms, space))
        done = end
    return None


def needed(trials: Sequence[FrozenTrial], terms: Terms) -> frozenset[int]:
    """Members of each generation, until as many of the next one have begun."""
    found: set[int] = set()
    for end, following in itertools.pairwise(ends(terms)):
        members = _generation(trials, end, terms)
        if len(_generation(trials, following, terms)) < len(members):
            found.update(trial.number for trial in members if trial.state in FINISHED)
    return frozenset(found)


@dataclass(frozen=True)
class Ahead:
    """Where the next part of a training ends, and what it may be."""

    end: int
    terms: Terms
    space: SearchSpace


def explored(
    params: Mapping[str, Any], space: SearchSpace, fixed: frozenset[str], rng: random.Random
) -> dict[str, Any]:
    """Other codes near those of a trial, inside the space and obeying its rules. `fixed` paths keep theirs."""

    def change(parameter: Parameter, domain: Domain) -> Any:
        code = params.get(parameter.name)
        if code is None:
            return _drawn(domain, rng)
        if parameter.path in fixed:
            return code
        return _drawn(domain, rng) if rng.random() < RESAMPLE else _moved(code, parameter, domain, rng)

    return space.changed(change)


def _next(usable: Sequence[FrozenTrial], members: int, place: int, ahead: Ahead) -> Proposal:
    """What follows the member at a place of its generation, the best first; those that failed come last."""
    cut = max(1, math.floor(QUANTILE * members))
    if place < min(len(usable), members - cut):
        member = usable[place]
        start = Start.RESUME if ahead.terms.resumes else Start.WEIGHTS
        return Proposal(member.params, member.number, start, ahead.end, kind=PROMOTED)
    rng = random.Random(f"{ahead.terms.seed}/{ahead.end}/{place}")
    donor = rng.choice(usable[:cut])
    params = explored(donor.params, ahead.space, ahead.terms.fixed, rng)
    return Proposal(params, donor.number, Start.WEIGHTS, ahead.end, kind=EXPLORED)


def _generation(trials: Sequence[FrozenTrial], end: int, terms: Terms) -> list[FrozenTrial]:
    parts = [
        trial for trial in trials if is_proposed(trial) and Proposal.of(trial).kind in (CONFIG, PROMOTED, EXPLORED)
    ]
    return [trial for trial in parts if budget_of(trial, terms.epochs) == end]


def _ranked(members: Sequence[FrozenTrial], done: int, terms: Terms) -> list[FrozenTrial]:
    """The members that have a value from after `done` epochs, the best first."""
    sign, found = (-1.0 if terms.maximize else 1.0), []
    for trial in members:
        own = [sign * value for epoch, value in trial.intermediate_values.items() if epoch >= done]
        if own and trial.state in FINISHED and not trial.user_attrs.get(INFEASIBLE):
            found.append((min(own), trial.number, trial))
    return [trial for _, _, trial in sorted(found, key=lambda item: item[:2])]


def _drawn(domain: Domain, rng: random.Random) -> Any:
    if domain.choices is not None:
        return rng.choice(domain.choices)
    if domain.log:
        return math.exp(rng.uniform(math.log(domain.low), math.log(domain.high)))
    return rng.uniform(domain.low, domain.high)


def _moved(code: Any, parameter: Parameter, domain: Domain, rng: random.Random) -> Any:
    """The value times a factor; one step where codes are exponents, places or whole numbers too small for that."""
    if domain.choices is not None:
        return code
    factor = rng.choice(FACTORS)
    if parameter.encoding in (Encoding.COMPLEMENT, Encoding.SWITCH):
        return code + math.log10(factor)
    step = domain.step or 1
    if parameter.encoding in (Encoding.LOG2, Encoding.INDEX) or (domain.is_int and abs(code) * 0.2 < step):
        return code + (step if factor > 1 else -step)
    return code * factor
