"""Silence for the model libraries: what is wrong is raised, not printed, and bars are the caller's."""

from collections.abc import Iterator
from contextlib import contextmanager

import diffusers.utils.logging as diffusers_log
import transformers.utils.logging as transformers_log


@contextmanager
def quiet() -> Iterator[None]:
    """Without progress bars, reports of weights and warnings of diffusers and transformers."""
    before = [(log, log.get_verbosity()) for log in (diffusers_log, transformers_log)]
    for log, _ in before:
        log.disable_progress_bar()
        log.set_verbosity_error()
    try:
        yield
    finally:
        for log, verbosity in before:
            log.enable_progress_bar()
            log.set_verbosity(verbosity)
