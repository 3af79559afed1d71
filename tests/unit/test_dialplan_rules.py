"""Each rule of `cti dialplan check`: a slip is named at its line (``<<``), and the same without the slip is not."""

from __future__ import annotations

import pytest

from cti.dialplan.check import check_sources
from cti.dialplan.source import plain

HEAD = "[globals]\nSOUNDS = /sounds\nAGI = 127.0.0.1:1\n[from-trunk]\n"
FILES = {
    "pjsip.conf": "[1001]\ntype = endpoint\ncontext = from-trunk\nauth = 1001\naors = 1001\n"
    "[1001]\ntype = auth\n[1001]\ntype = aor\n",
    "queues.conf": "[general]\n[12345]\nmember => PJSIP/1001,0\n",
    "musiconhold.conf": "[wait]\nmode = files\n",
}
END = "\n same => n,Hangup()\n"
SUB = "[sub]\nexten => s,1,NoOp(${ARG1})\n same => n,Return()\n"

CASES: list[tuple[str, str, str]] = [
    ("context-unknown", "exten => _X.,1,Goto(nowhere,s,1) <<", "exten => _X.,1,Goto(from-trunk,5,1)"),
    (
        "context-unknown",
        "exten => _X.,1,Dial(PJSIP/1001,9,b(nowhere^s^1)) <<" + END,
        "exten => _X.,1,Dial(PJSIP/1001,9)" + END,
    ),
    (
        "context-unknown",
        "exten => _X.,1,Set(CHANNEL(hangup_handler_push)=nowhere,s,1) <<" + END,
        "exten => _X.,1,NoOp()" + END,
    ),
    (
        "context-unknown",
        "exten => _X.,1,ChannelRedirect(${UNIQUEID},nowhere,s,1) <<" + END,
        "exten => _X.,1,NoOp()" + END,
    ),
    (
        "context-unknown",
        "exten => _X.,1,Originate(Local/1@nowhere/n,app,NoOp,,,2) <<" + END,
        "exten => _X.,1,NoOp()" + END,
    ),
    (
        "context-unknown",
        "exten => _X.,1,Gosub(go,s,1(nowhere)) <<" + END + "[go]\nexten => s,1,Goto(${ARG1},s,1)",
        "exten => _X.,1,Gosub(go,s,1(over))"
        + END
        + "[go]\nexten => s,1,Goto(${ARG1},s,1)\n[over]\nexten => s,1,Return()",
    ),
    (
        "exten-unknown",
        "exten => _X.,1,Gosub(sub,t,1(a)) <<" + END + SUB,
        "exten => _X.,1,Gosub(sub,s,1(a))" + END + SUB,
    ),
    ("priority-unknown", "exten => _X.,1,Goto(7) <<", "exten => _X.,1,Answer()" + END),
    (
        "label-unknown",
        "exten => _X.,1,GotoIf($[1=1]?over) <<" + END,
        "exten => _X.,1,GotoIf($[1=1]?over)\n same => n(over),Hangup()",
    ),
    ("context-unused", "exten => _X.,1,Hangup()\n[alone] <<\nexten => s,1,Hangup()", "exten => _X.,1,Hangup()"),
    (
        "exten-unused",
        "exten => _X.,1,Gosub(sub,s,1(a))" + END + SUB + "exten => q,1,Return() <<",
        "exten => _X.,1,Gosub(sub,s,1(a))" + END + SUB,
    ),
    ("label-unused", "exten => _X.,1,Answer()\n same => n(over),Hangup() <<", "exten => _X.,1,Answer()" + END),
    ("args-extra", "exten => _X.,1,Gosub(sub,s,1(a,b)) <<" + END + SUB, "exten => _X.,1,Gosub(sub,s,1(a))" + END + SUB),
    (
        "args-never",
        "exten => _X.,1,Gosub(sub,s,1)" + END + SUB.replace("(${ARG1})", "(${ARG1}) <<"),
        "exten => _X.,1,Gosub(sub,s,1(a))" + END + SUB,
    ),
    (
        "args-missing",
        "exten => _X.,1,Gosub(sub,s,1(a))\n same => n,Gosub(sub,s,1()) <<" + END + SUB,
        "exten => _X.,1,Gosub(sub,s,1(a))" + END + SUB,
    ),
    ("no-exit", "exten => _X.,1,Answer() <<", "exten => _X.,1,Answer()" + END),
    ("unreachable", "exten => _X.,1,Hangup()\n same => n,NoOp() <<" + END, "exten => _X.,1,NoOp()" + END),
    ("priority", "exten => _X.,2,Hangup() <<", "exten => _X.,1,Hangup()"),
    ("loop", "exten => _X.,1(l),NoOp()\n same => n,Goto(l) <<", "exten => _X.,1(l),Wait(1)\n same => n,Goto(l)"),
    ("loop", "exten => _X.,1,Answer()\n same => n,Goto(${PRIORITY}) <<", "exten => _X.,1,Goto($[${PRIORITY}+1])" + END),
    ("priority-unknown", "exten => _X.,1,Goto($[${PRIORITY}+7]) <<", "exten => _X.,1,Goto($[${PRIORITY} + 1])" + END),
    (
        "loop",
        "exten => _X.,1,Set(N=0)\n same => n(l),GotoIf($[${N}<3]?l) <<" + END,
        "exten => _X.,1,Set(N=0)\n same => n(l),Set(N=$[${N}+1])\n same => n,GotoIf($[${N}<3]?l)" + END,
    ),
    ("no-timeout", "exten => _X.,1,Queue(12345) <<" + END, "exten => _X.,1,Queue(12345,,,,60)" + END),
    ("no-timeout", "exten => _X.,1,Dial(PJSIP/1001) <<" + END, "exten => _X.,1,Dial(PJSIP/1001,20)" + END),
    (
        "no-timeout",
        "exten => _X.,1,Read(D,/sounds/hello,1) <<\n same => n,NoOp(${D})" + END,
        "exten => _X.,1,Read(D,/sounds/hello,1,,1,5)\n same => n,NoOp(${D})" + END,
    ),
    (
        "no-timeout",
        "exten => _X.,1,BridgeWait(a,participant,m(wait)) <<" + END,
        "exten => _X.,1,BridgeWait(a,participant,m(wait)S(3))" + END,
    ),
    (
        "no-timeout",
        "exten => _X.,1,Echo() <<" + END,
        "exten => _X.,1,Set(TIMEOUT(absolute)=9)\n same => n,Echo()" + END,
    ),
    (
        "agi-unbounded",
        'exten => _X.,1,AGI(agi://${AGI}/x) <<\n same => n,GotoIf($["${AGISTATUS}"="SUCCESS"]?a:a)\n'
        " same => n(a),Hangup()",
        "exten => _X.,1,Hangup()",
    ),
    ("agi-fallback", "exten => _X.,1,AGI(agi://${AGI}/x) <<" + END, "exten => _X.,1,Hangup()"),
    ("app-unknown", "exten => _X.,1,Anwser() <<" + END, "exten => _X.,1,answer()" + END),
    ("function-unknown", "exten => _X.,1,NoOp(${LENN(a)}) <<" + END, "exten => _X.,1,NoOp(${LEN(a)})" + END),
    (
        "function-unknown",
        "exten => _X.,1,Set(CHANEL(language)=zh) <<" + END,
        "exten => _X.,1,Set(CHANNEL(language)=zh)" + END,
    ),
    ("argument-missing", "exten => _X.,1,Playback() <<" + END, "exten => _X.,1,Playback(/sounds/hello)" + END),
    ("argument-missing", "exten => _X.,1,GotoIf($[1=1]) <<" + END, "exten => _X.,1,NoOp()" + END),
    (
        "prompt-missing",
        "exten => _X.,1,Playback(${SOUNDS}/helo) <<" + END,
        "exten => _X.,1,Playback(${SOUNDS}/hello)" + END,
    ),
    (
        "prompt-missing",
        "exten => _X.,1,Playback(${SOUNDS}/why-${IF($[1=1]?a:b)}) <<" + END,
        "exten => _X.,1,Playback(${SOUNDS}/why-${UNIQUEID})" + END,
    ),
    ("music-unknown", "exten => _X.,1,StartMusicOnHold(wiat) <<" + END, "exten => _X.,1,StartMusicOnHold(wait)" + END),
    (
        "caller-unquoted",
        "exten => _X.,1,GotoIf($[${EXTEN}=110]?a:a) <<\n same => n(a),Hangup()",
        'exten => _X.,1,GotoIf($["${EXTEN}"="110"]?a:a)\n same => n(a),Hangup()',
    ),
    (
        "caller-unquoted",
        "exten => _X.,1,Read(D,/sounds/hello,1,,1,5)\n same => n,Set(E=${D})\n same => n,NoOp($[${E}+1]) <<" + END,
        "exten => _X.,1,Read(D,/sounds/hello,1,,1,5)\n same => n,Set(E=${FILTER(0-9,${D})})\n same => n,NoOp($[${E}+1])"
        + END,
    ),
    (
        "caller-unfiltered",
        "exten => _X.,1,NoOp(${DB(a/${CALLERID(num)})}) <<" + END,
        "exten => _X.,1,NoOp(${FILTER(0-9,${CALLERID(num)})})" + END,
    ),
    (
        "half-quoted",
        'exten => _X.,1,NoOp($[${UNIQUEID}="a"]) <<' + END,
        'exten => _X.,1,NoOp($["${UNIQUEID}"="a"])' + END,
    ),
    ("expression", 'exten => _X.,1,NoOp($["a" "b"]) <<' + END, "exten => _X.,1,NoOp($[(1+2)*-3 >= 4 & !0])" + END),
    (
        "argument-missing",
        "exten => _X.,1,NoOp(${IF($[1=1],a:b)}) <<" + END,
        "exten => _X.,1,NoOp(${IF($[1=1]?a:b)})" + END,
    ),
    ("brackets", "exten => _X.,1,NoOp({EXTEN}) <<" + END, "exten => _X.,1,NoOp(${EXTEN})" + END),
    ("brackets", "exten => _X.,1,NoOp($EXTEN}) <<" + END, 'exten => _X.,1,NoOp($["${EXTEN}"=~"^[0-9]{1,3}$"])' + END),
    (
        "condition",
        'exten => _X.,1,GotoIf(["${EXTEN}"="1"]?a:a) <<\n same => n(a),Hangup()',
        'exten => _X.,1,GotoIf($["${EXTEN}"="1"]?a:a)\n same => n(a),Hangup()',
    ),
    ("never-set", "exten => _X.,1,NoOp(${NOBODY}) <<" + END, "exten => _X.,1,NoOp(${DIALSTATUS})" + END),
    ("never-set", "exten => _X.,1,NoOp(${SHARED(NOBODY)}) <<" + END, "exten => _X.,1,NoOp(${SHARED(ROUTE_110)})" + END),
    ("never-read", "exten => _X.,1,Set(NOBODY=1) <<" + END, "exten => _X.,1,Set(A=1)\n same => n,NoOp(${A})" + END),
    (
        "event-unknown",
        'exten => _X.,1,CELGenUserEvent(CallArived,{"ref":"a","hotline":"b"}) <<' + END,
        'exten => _X.,1,CELGenUserEvent(CallArrived,{"ref":"a","hotline":"b"})' + END,
    ),
    (
        "event-field",
        'exten => _X.,1,CELGenUserEvent(CallArrived,{"ref":"a"}) <<' + END,
        'exten => _X.,1,CELGenUserEvent(CallArrived,{"ref":"a","hotline":"b"})' + END,
    ),
    (
        "event-json",
        'exten => _X.,1,CELGenUserEvent(CallArrived,{"ref":"a,}) <<' + END,
        'exten => _X.,1,CELGenUserEvent(CallArrived,{"ref":"a","hotline":"b"})' + END,
    ),
    (
        "shadowed",
        "exten => _X.,1,Hangup()\nexten => _[0-9].,1,Hangup() <<",
        "exten => _X.,1,Hangup()\nexten => _[*].,1,Hangup()",
    ),
    (
        "shadowed",
        "exten => _X.,1,Hangup()\ninclude => more\n[more]\nexten => 110,1,Hangup() <<",
        "exten => _X.,1,Hangup()",
    ),
    (
        "pattern-order",
        "exten => _X.,1,Hangup() <<\nexten => 110,1,Hangup()",
        "exten => 110,1,Hangup()\nexten => _X.,1,Hangup()",
    ),
    ("pattern-all", "exten => _.,1,Hangup() <<", "exten => _X.,1,Hangup()"),
    ("queue-unknown", "exten => _X.,1,Queue(12354,,,,60) <<" + END, "exten => _X.,1,Queue(12345,,,,60)" + END),
    (
        "queue-unknown",
        "exten => _X.,1,Set(L=12354) <<\n same => n,Queue(${L},,,,60)" + END,
        "exten => _X.,1,Set(L=12345)\n same => n,Queue(${L},,,,60)" + END,
    ),
    ("endpoint-unknown", "exten => _X.,1,Dial(PJSIP/1010,9) <<" + END, "exten => _X.,1,Dial(PJSIP/1001,9)" + END),
]


def findings(body: str, **files: str) -> set[tuple[str, int, str]]:
    texts = {
        **FILES,
        "extensions.conf": HEAD + body.replace(" <<", "") + "\n",
        **{f"{n}.conf": t for n, t in files.items()},
    }
    checked = check_sources(plain(texts), frozenset({"hello", "why-c"}), "/sounds")
    return {
        (f.file, f.line, f.code)
        for f in checked.findings
        if (f.file, f.code) != ("extensions.conf", "never-read") or f.line > 4
    }


@pytest.mark.parametrize(("code", "bad", "good"), CASES, ids=[f"{n}-{c[0]}" for n, c in enumerate(CASES)])
def test_a_slip_is_named_at_its_line(code: str, bad: str, good: str) -> None:
    line = next(n for n, text in enumerate((HEAD + bad).splitlines(), 1) if text.endswith("<<"))
    assert ("extensions.conf", line, code) in findings(bad)
    assert code not in {c for _, _, c in findings(good)}


def test_agi_on_a_helper_with_a_bound_and_a_token_is_as_it_should_be() -> None:
    body = (
        "exten => _X.,1,Originate(Local/1@ask/n,app,NoOp,,,2,v(__A=b))\n same => n,Hangup()\n[ask]\nexten => _X.,1,AGI(agi://${AGI}/x?${A})\n"
        ' same => n,GotoIf($["${ENTRY_TOKEN}"="${A}"]?:no)\n same => n(no),Hangup()'
    )
    assert findings(body) == set()
    assert {c for _, _, c in findings(body.replace(",,,2,", ",,,,"))} == {"agi-unbounded", "no-timeout"}


def test_what_is_meant_so_is_said_in_place() -> None:
    body = "exten => _X.,1,Queue(12345)" + END
    assert ("extensions.conf", 5, "no-timeout") in findings(body)
    above = "; check: no-timeout 夜里无人值守 / nobody is there at night\n" + body
    beside = body.replace("(12345)", "(12345) ; check: no-timeout nobody is there")
    assert findings(above) == findings(beside) == set()
    assert findings(body.replace("(12345)", "(12345) ; check: no-timeout")) != set(), "a reason is wanted"
    assert findings(body.replace("(12345)", "(12345) ; check: no-exit why not")) != set(), (
        "another code excuses nothing"
    )


def test_files_beside_it() -> None:
    assert ("queues.conf", 3, "endpoint-unknown") in findings(
        "exten => _X.,1,Hangup()", queues=FILES["queues.conf"].replace("1001", "1002")
    )
    assert ("pjsip.conf", 3, "context-unknown") in findings(
        "exten => _X.,1,Hangup()", pjsip=FILES["pjsip.conf"].replace("from-trunk", "from")
    )
    assert ("pjsip.conf", 4, "pjsip-unknown") in findings(
        "exten => _X.,1,Hangup()", pjsip=FILES["pjsip.conf"].replace("auth = 1001", "auth = 1")
    )
    assert ("features.conf", 2, "context-unknown") in findings(
        "exten => _X.,1,Hangup()", features="[applicationmap]\nk => *1,self,Gosub(kee,s,1(110))\n"
    )
    assert ("extensions.conf", 6, "include-missing") in findings("exten => _X.,1,Hangup()\n#include nowhere.conf")
