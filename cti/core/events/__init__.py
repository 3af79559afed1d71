"""What can happen: past-tense facts, plain frozen values. A file a subject, read as one vocabulary (``e.SeatLeft``).

Knows: names and fields, no rules. Must not know: Asterisk's own event names (those end in `cti.ami.translate`). The
dialplan speaks each of its steps once under the very name of the class here, live by AMI and for ever in the CEL
file. Every event has ``ref`` (correlation id) and ``at`` (microseconds since the epoch, UTC).

Whoever adds one writes its class and puts it into its file's tuple; nothing has to be said here.
"""

from cti.core.events.call import *
from cti.core.events.callback import *
from cti.core.events.conference import *
from cti.core.events.dialplan import *
from cti.core.events.event import *
from cti.core.events.named import *
from cti.core.events.nuisance import *
from cti.core.events.plan import *
from cti.core.events.recording import *
from cti.core.events.seat import *
from cti.core.events.transfer import *
