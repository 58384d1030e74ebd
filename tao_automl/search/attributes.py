"""Names of what we store beside Optuna's own fields: attributes of a study and of a trial.

Programs that read our storage may rely on them: names are added, never changed.
"""

from __future__ import annotations

# Of a study.
SPACE = "space"  # fingerprint of the search space; written last, so its absence means half created
METRIC = "metric"
ALGORITHM = "algorithm"
PRUNER = "pruner"
SEED = "seed"
EPOCHS = "epochs"  # of one trial
MODEL = "model"
RUNTIME = "runtime"
TRIALS = "trials"  # the budget
QUARANTINE = "quarantine"  # faulty GPUs that no trial gets any more, as `host/gpu`
ABORTED = "aborted"  # why no other trial would run either, one sentence with what helps
WARM = "warm"  # what earlier studies say: [{"params": …, "quantile": 0 (best) to 1, "source": "study/trial"}]
STOP = "stop"  # what `tao-automl stop` asks of the driver: "drain", "now" or None

# Of a trial.
ATTEMPT = "attempt"  # counts from 1
INTENT = "intent"  # how we are about to end it (pruned, cancelled …), stored before it is stopped
REASON = "reason"  # why it failed: a word of tao.failure.FailureReason
DETAIL = "detail"  # one sentence for people
EXIT_CODE = "exit_code"
BEST_EPOCH = "best_epoch"
BEST_VALUE = "best_value"
CHECKPOINT = "checkpoint"  # path inside the study's folder
TRAINER_TIME_S = "trainer_time_s"
NODE = "node"
GPUS = "gpus"  # ids of the devices it ran on
VALUES = "values"  # the proposed config: value by path of the spec
PARKED_S = "parked_s"  # when a cancelled trial had stopped (seconds since 1970); it waits for `resume`
FIX = "fix"  # what to do about the reason, one sentence
RETRIES = "retries"  # attempts that were followed by another: how many by reason
CHANGED = "changed"  # what ran instead of what was proposed: value by path of the spec
INFEASIBLE = "infeasible"  # true: this config cannot run; PRUNED in Optuna's words, with a violated constraint
AVOID = "avoid"  # nodes and GPUs that its next attempt should not get, as `host` or `host/gpu`
NOT_BEFORE_S = "not_before_s"  # when its next attempt may start (seconds since 1970)
