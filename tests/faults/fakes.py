"""Trainers that do to the training process what no test can wait for in a real one."""

import os
import signal
import stat
from contextlib import suppress

from tests.engine.fake import SlowTrainer

POISON = 104
HALF = b"\x80\x05\x95\xff\x00\x00\x00\x00\x00\x00\x00half"
"""The first bytes of a pickle that announces more."""


class Poison(SlowTrainer):
    """seed 104: its fifth step ends the process, as the kernel does where memory is short."""

    def step(self):
        if self.config.seed == POISON and self.step_number == 4:
            os.kill(os.getpid(), signal.SIGKILL)
        super().step()


class Babbling(SlowTrainer):
    """seed 104: writes half an answer to the pipe and dies, or (seed 105) writes what is no answer at all."""

    def snapshot(self):
        if self.config.seed in (POISON, POISON + 1) and self.step_number > 3:
            whole = self.config.seed == POISON
            for number in range(3, 20):  # whichever of its files is the pipe of the answers
                with suppress(OSError):
                    if stat.S_ISFIFO(os.fstat(number).st_mode):
                        os.write(number, HALF if whole else b"Segmentation fault\n")
            if whole:
                os.kill(os.getpid(), signal.SIGKILL)
        return super().snapshot()
