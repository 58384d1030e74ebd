"""Schedules: one file each, the file's name is the schedule's name.

A schedule says what the next trial is: a config that the sampler chooses, or one that goes on from another trial. Each
file has pure functions:

- `ends(terms)` are the epochs at which trainings end and are compared, the last a full one;
- `check(terms)` refuses at plan time what the schedule cannot do with so few trials or epochs;
- `propose(trials, terms, space)`, of stored trials, returns the next `Proposal`; None while there is none: others must
  end first, or everything is proposed;
- `needed(trials, terms)` names the finished trials from whose last checkpoint a later proposal may go on.
"""
