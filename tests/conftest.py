"""What every test finds, however the suite was started."""

from __future__ import annotations

import signal

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Started in the background of a shell: ignored, it would be ignored by every program the tests start as well.
    signal.signal(signal.SIGINT, signal.default_int_handler)
