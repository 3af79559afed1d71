"""The entry script: Asterisk asks what a call is, the core decides, channel variables carry the answer.

Knows: the names of the question's and the answer's fields. Must not know: how it is decided
(`cti.core.entry`) or where the book comes from. Reads no clock.

``AGI(agi://…/entry?ref=${REF}&hotline=${URIENCODE(…)})`` is answered by ENTRY_DIVISION, ENTRY_PRIORITY,
ENTRY_LANGUAGE, ENTRY_NUISANCE (0/1) and, last of all, ENTRY_TOKEN = ref. AGISTATUS says SUCCESS even when
this service was killed half-way, so the dialplan believes an answer only if ENTRY_TOKEN is the ref it asked
with.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable

from cti.core.entry import EntryBook, EntryRequest, decide_entry
from ivr.agi import Agi, AgiFailure, AgiFault
from ivr.server import AgiRequest, Script

# The token is compared inside a dialplan expression: only characters that mean nothing there.
_REF = re.compile(r"[A-Za-z0-9._:-]{1,64}\Z")


def make_entry(book: Callable[[], EntryBook], today: Callable[[], datetime.date]) -> Script:
    """The script over the current ``book()`` and ``today()``, both asked anew for each call.

    The script raises AgiFailure(REFUSED) for a question without a usable ``ref``; then no variable is set at
    all.
    """

    def entry(agi: Agi, request: AgiRequest) -> None:
        ref = request.query.get("ref", "")
        if not _REF.match(ref):
            raise AgiFailure("ref is missing or not a reference", AgiFault.REFUSED)
        question = EntryRequest(
            ref=ref,
            caller=request.env.get("agi_callerid", ""),
            hotline=request.query.get("hotline", ""),
            language=request.query.get("language") or request.env.get("agi_language", ""),
        )
        answer = decide_entry(question, book(), today())
        agi.set_variable("ENTRY_DIVISION", answer.division)
        agi.set_variable("ENTRY_PRIORITY", str(answer.priority))
        agi.set_variable("ENTRY_LANGUAGE", answer.language)
        agi.set_variable("ENTRY_NUISANCE", "1" if answer.nuisance else "0")
        agi.set_variable("ENTRY_TOKEN", ref)

    return entry
