"""What a dialplan of ours finds there by itself: Asterisk's own variables and applications, and the service's doings.

Knows: names. Sources: Asterisk 22's `core show applications`, `core show functions` (asterisk22.json), its
documentation of channel
variables; cti/ami and ivr for the service's. Must not know: any rule.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files

OWN_VARIABLES = frozenset(
    [
        "ACCOUNTCODE",
        "AGISTATUS",
        "ANSWEREDTIME",
        "ANSWEREDTIME_MS",
        "BLINDTRANSFER",
        "ATTENDEDTRANSFER",
        "BRIDGEPEER",
        "BRIDGEPVTCALLID",
        "BRIDGERESULT",
        "CALLINGPRES",
        "CHANNEL",
        "CONTEXT",
        "DIALEDPEERNAME",
        "DIALEDPEERNUMBER",
        "DIALEDTIME",
        "DIALEDTIME_MS",
        "DIALSTATUS",
        "DIALSTATUS_CAUSE",
        "ENTITYID",
        "ENV",
        "EPOCH",
        "EXTEN",
        "GOSUB_RETVAL",
        "HANGUPCAUSE",
        "HINT",
        "HINTNAME",
        "INVALID_EXTEN",
        "LANGUAGE",
        "MACRO_RESULT",
        "MEMBERINTERFACE",
        "MEMBERNAME",
        "MEMBERPENALTY",
        "MONITORED",
        "ORIGINATE_STATUS",
        "PLAYBACKSTATUS",
        "PRIORITY",
        "PQMSTATUS",
        "UPQMSTATUS",
        "AQMSTATUS",
        "RQMSTATUS",
        "QUEUEHOLDTIME",
        "QUEUEPOSITION",
        "QUEUESTATUS",
        "READSTATUS",
        "RECORD_STATUS",
        "RECORDED_FILE",
        "REDIRECTING_CALLEE_SEND_MACRO",
        "SIPDOMAIN",
        "SYSTEMNAME",
        "SYSTEMSTATUS",
        "TIMESTAMP",
        "TRANSFERSTATUS",
        "UNIQUEID",
        "BACKGROUNDSTATUS",
        "WAITEXTENSTATUS",
        "WAITSTATUS",
        "CHANNELREDIRECTSTATUS",
        "MIXMONITOR_FILENAME",
        "ABANDONED",
        "QUEUE_WITHDRAW_INFO",
        "CALLERID",
        "DNID",
        "VMSTATUS",
    ]
)
"""set by Asterisk, read by whoever wants"""

OWN_SETTINGS = frozenset(
    [
        "AGIEXITONHANGUP",
        "AGISIGHUP",
        "CALLERID",
        "CHANNEL",
        "DYNAMIC_FEATURES",
        "FORWARD_CONTEXT",
        "GOSUB_RESULT",
        "GROUP",
        "LIMIT_PLAYAUDIO_CALLER",
        "MONITOR_EXEC",
        "PITCH",
        "QUEUE_MAX_PENALTY",
        "QUEUE_MIN_PENALTY",
        "QUEUE_PRIO",
        "QUEUE_RAISE_PENALTY",
        "TRANSFER_CONTEXT",
        "BRIDGE_PLAY_SOUND",
        "PICKUPMARK",
    ]
)
"""read by Asterisk, set by whoever wants"""

SERVICE_SETS = frozenset(
    [
        "XFID",
        "XFSEAT",
        "XFTO",
        "XFONLY",
        "XFDANGER",
        "XFNOTE",
        "XFMODE",
        "XFKEY",
        "CBTASK",
        "CBNUMBER",
        "HOTLINE",
        "MEMID",
        "MEMTO",
        "MEMSEAT",
        "MEMKEY",
        "WANTED",
        "CALLREF",
        "ASKSEAT",
        "ON",
        "CHOICE",
        "REASON",
        "WORDS",
        "RUN",
        "DUTY",
        "DUTYNUMBER",
        "DUTYSECS",
        "DUTYTRUNK",
        "DUTYSAY",
        "DRILL",
        "ENTRY_DIVISION",
        "ENTRY_PRIORITY",
        "ENTRY_LANGUAGE",
        "ENTRY_NUISANCE",
        "ENTRY_TOKEN",
        "LOGIN_SAID",
        "LOGIN_TOKEN",
    ]
)
"""by AMI's Originate and Setvar (cti/ami), by AGI's SET VARIABLE (ivr)"""
SERVICE_SHARES = ("ROUTE_*", "ROUTE_DANGER_*")
"""SHARED() variables of a caller's channel the service sets (cti/ami/switch.py)"""
AGI_ANSWERS = frozenset({"AGISTATUS", "ENTRY_TOKEN", "LOGIN_TOKEN"})
"""a condition on one of these tells a service that answered from one that did not"""
SERVICE_READS = frozenset({"ASKPIN"})
"""by AGI's GET VARIABLE"""

SERVICE_ENTERS = frozenset(
    [
        "door",
        "join",
        "fourth",
        "fourth-in",
        "duty",
        "callback-talk",
        "callback-place",
        "ask-cancel",
        "ask-release",
        "ask-confer",
        "ask-decide",
        "ask-mute",
        "ask-fourth-out",
        "lent",
    ]
)
"""contexts the service names itself, by Originate, or as a queue's member"""
KEYS = frozenset({("key", "transfer"), ("key", "bring-in"), ("key", "member")})
"""what a site's keys may do; not every site has each (cti.stack.render)"""
HOPS: dict[str, tuple[str, ...]] = {
    "ring-*": ("ring-queue", "ring-dial", "ring-phone"),
    "fourth-*": ("fourth-dial", "fourth-phone"),
}
"""contexts named by the kind of a route's hop (cti.core.routing)"""
SERVICE_FAMILIES = frozenset(
    [
        "route",
        "route-danger",
        "borrowed",
        "lent",
        "nuisance",
        "nuisance-free",
        "plan-front",
        "plan-open",
        "plan-caller",
        "seat",
        "seat-not",
    ]
)
"""AstDB families the service writes"""

SEAT_VARIABLES = frozenset({"SEAT", "SEAT_PLATFORM", "DYNAMIC_FEATURES"})

NEEDS: dict[str, int] = {
    "AGI": 1,
    "Background": 1,
    "Bridge": 1,
    "BridgeAdd": 1,
    "CELGenUserEvent": 1,
    "ChanSpy": 1,
    "ChannelRedirect": 4,
    "ConfBridge": 1,
    "Dial": 1,
    "ExecIf": 1,
    "Gosub": 1,
    "GosubIf": 1,
    "Goto": 1,
    "GotoIf": 1,
    "MSet": 1,
    "MixMonitor": 1,
    "Originate": 3,
    "Page": 1,
    "PauseQueueMember": 2,
    "Playback": 1,
    "PlayTones": 1,
    "Queue": 1,
    "Read": 1,
    "Record": 1,
    "SayDigits": 1,
    "SayNumber": 1,
    "SendDTMF": 1,
    "Set": 1,
    "SoftHangup": 1,
    "System": 1,
    "TryExec": 1,
    "TrySystem": 1,
    "UnpauseQueueMember": 2,
    "WaitForCondition": 2,
    "Wait": 1,
    "Exec": 1,
    "BlindTransfer": 1,
}
"""arguments an application cannot do without; the last of them must not be empty"""


@cache
def names() -> tuple[frozenset[str], frozenset[str]]:
    """Applications and functions of the Asterisk this product runs."""
    found = json.loads(files("cti.dialplan").joinpath("asterisk22.json").read_text(encoding="utf-8"))
    return frozenset(found["applications"]), frozenset(found["functions"])
