"""What a training will take of its device's memory, told where there is no torch: a process of its own rehearses it.

Run as a program: reads what `peak` asks from standard input, and prints the bytes.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from dataclasses import replace
from functools import lru_cache

from understudy.core.model.presets import ModelConfig
from understudy.core.train.plan import Course, Plan

SECONDS = 20.0  # for what takes five where nothing else runs; somebody waits
_one = threading.Lock()  # a flood of questions is no flood of processes
log = logging.getLogger(__name__)


def peak(config: ModelConfig, course: Course, *, bfloat16: bool, share: int = 1) -> int:
    """Bytes of a device's memory that the greediest plan of a course takes; 0 where it cannot be told (in the log).

    Args:
        share: devices that a batch is spread over.
    """
    asked = {
        "config": config.to_dict(),
        "plans": [plan.options() for plan in course.plans()],
        "bfloat16": bfloat16,
        "share": share,
    }
    try:
        with _one:
            return _rehearsed(json.dumps(asked, sort_keys=True))
    except (subprocess.SubprocessError, OSError, ValueError) as error:
        log.warning("the memory of a training could not be told: %s", error)
        return 0


@lru_cache(maxsize=256)
def _rehearsed(asked: str) -> int:
    command = [sys.executable, "-m", "understudy.core.train.planned"]
    # As many threads as a worker has: each keeps memory.
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        command, input=asked, capture_output=True, text=True, timeout=SECONDS, check=True, env=environment
    )
    return int(done.stdout)


def main() -> None:
    """The process."""
    from understudy.core.train import memory

    asked = json.load(sys.stdin)
    config = ModelConfig.from_dict(asked["config"])
    whole = [Plan().with_options(options) for options in asked["plans"]]
    plans = {replace(plan, batch_size=max(1, plan.batch_size // asked["share"])) for plan in whole}
    print(max(memory.taken(config, plan, bfloat16=asked["bfloat16"]) for plan in plans))


if __name__ == "__main__":
    main()
