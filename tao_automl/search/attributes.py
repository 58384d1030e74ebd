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
