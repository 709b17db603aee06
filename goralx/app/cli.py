"""The command line: a word of `commands`, or else a run or a sweep, which Hydra composes.

Exit status: 0 done, 2 for what the user can mend, 1 for what broke, 130 for Ctrl-C. Whatever goes
wrong is one line on stderr that begins with ``goralx:``; GORALX_TRACEBACK=1 raises instead.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from .commands import COMMANDS
from .program import run_hydra
from .reporting import report
from .shared import FAILED, FINISHED, INTERRUPTED


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line, given without the program's name; returns the exit status.

    Without a word it is a question, and the help page the answer.
    """
    words = list(sys.argv[1:] if argv is None else argv) or ["--help"]
    try:
        if words and words[0] in COMMANDS:
            return COMMANDS[words[0]](words[1:])
        return run_hydra(words, COMMANDS)
    except SystemExit as done:  # argparse and Hydra leave so once they have answered
        return done.code if isinstance(done.code, int) else FINISHED
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # whoever read our output has had enough, as in `goralx plugins | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:
        return report(error)
