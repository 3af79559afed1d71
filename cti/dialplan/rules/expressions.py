"""`$[…]`: caller data that could rewrite it, comparisons that cannot hold, words out of order. Also caller data that
reaches anything else
unfiltered."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cti.dialplan.finding import Finding
from cti.dialplan.model import Step
from cti.dialplan.parse import branches
from cti.dialplan.subject import Subject
from cti.dialplan.text import BadText, Expr, Node, Ref, exprs, parse, plains, refs, split
from cti.dialplan.values import assignments, plain

SAFE = frozenset(
    [
        "FILTER",
        "LEN",
        "REGEX",
        "STAT",
        "MD5",
        "SHA1",
        "HASHKEYS",
        "GROUP_COUNT",
        "QUEUE_MEMBER",
        "QUEUE_WAITING_COUNT",
        "CHANNEL_EXISTS",
        "DEVICE_STATE",
        "FIELDQTY",
        "EXISTS",
        "ISNULL",
        "URIENCODE",
        "KEYPADHASH",
        "DB",
        "DB_EXISTS",
        "STRFTIME",
        "SHARED",
        "IMPORT",
        "CHANNEL",
        "GLOBAL",
    ]
)
"""what comes out of these is no caller's text"""
CLEAN = frozenset({"FILTER", "LEN", "REGEX", "STAT", "MD5", "SHA1", "URIENCODE", "KEYPADHASH", "ISNULL", "EXISTS"})
"""what goes into these comes out harmless"""
SENT = frozenset(
    {
        "CALLERID",
        "PJSIP_HEADER",
        "SIP_HEADER",
        "SIPDOMAIN",
        "DNID",
        "CALLERIDNUM",
        "CALLERIDNAME",
        "REDIRECTING",
        "CONNECTEDLINE",
    }
)
OPERATOR = re.compile(r"!=|=~|==|<=|>=|[=<>]")
COUNT = re.compile(r"\{\d+(?:,\d*)?\}")
"""how often, in a regular expression"""
STRAY = re.compile(r"[{}]|\$(?!\")")
TOKEN = re.compile(
    r"""\s*(?:(?P<string>"(?:\\.|[^"\\])*")|(?P<op>!=|=~|==|<=|>=|::|[=<>|&+*/%?:~])|(?P<open>\()|(?P<shut>\))|(?P<minus>-)|(?P<not>!)"""
    r"""|(?P<word>[^\s"()=<>|&+*/%?:!~-]+))"""
)


def _heard(subject: Subject) -> set[str]:
    """Variables that hold what a caller sent or pressed, as it came."""
    tainted: set[str] = set()
    pairs: list[tuple[str, str]] = []
    for step in subject.steps:
        for call in step.calls:
            if call.app == "Read":
                tainted.add(split(call.args)[0].strip())
        pairs += assignments(step)
    for _ in range(4):
        before = len(tainted)
        tainted |= {name for name, value in pairs if _carries(value, tainted)}
        if len(tainted) == before:
            break
    return tainted


def _carries(text: str, tainted: set[str]) -> bool:
    try:
        return any(isinstance(n, Ref) and _is_sent(n, tainted) for n in parse(text))
    except BadText:
        return False


def _is_sent(ref: Ref, tainted: set[str]) -> bool:
    if ref.name == "EXTEN" or ref.name in SENT or (ref.args is None and ref.name in tainted):
        return True
    if ref.name in SAFE or ref.args is None:
        return False
    first = split(ref.args)[0]
    return plain(first) in tainted or any(_carries(part, tainted) for part in _results(ref))


def _results(ref: Ref) -> list[str]:
    """What a function hands on: of IF() its branches alone."""
    assert ref.args is not None
    if ref.name == "IF":
        _, _, rest = ref.args.partition("?")
        return split(rest, ":", quotes=False)
    return split(ref.args)


def caller_in_expression(subject: Subject) -> Iterator[Finding]:
    """Caller data neither filtered nor quoted: a blank or a bracket in it, and the expression says something else."""
    tainted = _heard(subject)
    for step in subject.steps:
        for expr in _exprs(step):
            names = [n.name for n in expr.parts if isinstance(n, Ref) and not n.quoted and _is_sent(n, tainted)]
            if names:
                yield subject.finding(
                    step,
                    "caller-unquoted",
                    f"来电人的数据未加引号进了表达式 / caller data unquoted in an expression: ${{{names[0]}}}",
                    '"${…}" 或 ${FILTER(0-9,…)} / quote it or filter it',
                )


def caller_unfiltered(subject: Subject) -> Iterator[Finding]:
    """What a phone sent, passed on without FILTER(): to another channel, a header, a database key, Asterisk's
    record."""
    for step in subject.steps:
        try:
            nodes = parse(step.args)
        except BadText:
            continue
        if name := _raw(nodes):
            yield subject.finding(
                step,
                "caller-unfiltered",
                f"来电人的数据未经过滤 / caller data that is not filtered: ${{{name}}}",
                "${FILTER(0-9+,${…})}",
            )


def _raw(nodes: tuple[Node, ...]) -> str:
    """The first reading of what a phone sent that no FILTER() or quoted expression is around."""
    for node in nodes:
        if isinstance(node, Ref):
            if node.name in SENT:
                return node.name
            if node.name == "IMPORT" and node.args and split(node.args)[-1].strip().partition("(")[0] in SENT:
                return split(node.args)[-1].strip()
            if node.name in CLEAN or node.args is None:
                continue
            try:
                if found := _raw(tuple(n for part in _results(node) for n in parse(part))):
                    return found
            except BadText:
                return ""
    return ""


def _exprs(step: Step) -> list[Expr]:
    try:
        return list(exprs(parse(step.args)))
    except BadText:
        return []


def flat(expr: Expr) -> str:
    """The expression with a plain word for each variable."""
    return "".join(n if isinstance(n, str) else "V" for n in expr.parts)


def half_quoted(subject: Subject) -> Iterator[Finding]:
    """One side of a comparison is quoted, the other a bare variable: empty, it is a syntax error, and quotes are
    part of the text."""
    for step in subject.steps:
        for expr in _exprs(step):
            for side in _comparisons(flat(expr)):
                left, right = side
                if left.startswith('"') != right.startswith('"'):
                    yield subject.finding(
                        step,
                        "half-quoted",
                        f"比较只有一边加了引号 / one side alone is quoted: {left}={right}".replace("V", "${…}"),
                        "两边都加 / quote both",
                    )


def _comparisons(text: str) -> list[tuple[str, str]]:
    out: list[tuple[str, str]] = []
    tokens = [m[0].strip() for m in TOKEN.finditer(text)]
    for i, token in enumerate(tokens):
        if token in ("=", "!=", "=~", "==") and 0 < i < len(tokens) - 1:
            out.append((tokens[i - 1], tokens[i + 1]))
    return out


def out_of_order(subject: Subject) -> Iterator[Finding]:
    """An expression that does not read: an operand or an operator too many or too few."""
    for step in subject.steps:
        for expr in _exprs(step):
            if not reads(flat(expr)):
                yield subject.finding(
                    step,
                    "expression",
                    f"表达式读不通 / an expression that does not read: $[{expr.text[:50]}]",
                    "比较两边、& | 两边都要有 / something on both sides of each operator",
                )


def reads(text: str) -> bool:
    """Operands and operators in turn, brackets closed."""
    want, depth, at = True, 0, 0
    while at < len(text.rstrip()):
        match = TOKEN.match(text, at)
        if match is None:
            return False
        at, kind = match.end(), match.lastgroup
        if kind in ("string", "word"):
            if not want:
                return False
            want = False
        elif kind == "open":
            if not want:
                return False
            depth += 1
        elif kind == "shut":
            if want or depth == 0:
                return False
            depth -= 1
        elif kind in ("minus", "not"):
            if not want and kind == "not":
                return False
            want = True
        else:
            if want:
                return False
            want = True
    return not want and depth == 0


def stray(subject: Subject) -> Iterator[Finding]:
    """A brace or a dollar sign that belongs to no variable: the name would be taken for plain text."""
    for step in subject.steps:
        if step.app == "CELGenUserEvent" or any(c.app == "CELGenUserEvent" for c in step.calls):
            continue
        try:
            bad = next((t for t in plains(parse(step.args)) if STRAY.search(COUNT.sub("", t))), None)
        except BadText:
            continue
        if bad is not None:
            yield subject.finding(
                step, "brackets", f"多出的括号或 $ / a brace or $ that belongs to no variable: {bad[:40]}", "${…}"
            )


def condition(subject: Subject) -> Iterator[Finding]:
    """A condition that compares outside of `$[…]`: a text, hence always true."""
    for step in subject.steps:
        try:
            asked = [
                found[0] for c in step.calls if c.app in ("GotoIf", "ExecIf", "GosubIf") and (found := branches(c.args))
            ]
            asked += [
                found[0] for r in refs(parse(step.args)) if r.name == "IF" and r.args and (found := branches(r.args))
            ]
            bad = next(
                (text for text in asked for n in parse(text) if isinstance(n, str) and set(n) & set('"=<>&|[]')), None
            )
        except BadText:
            continue
        if bad is not None:
            yield subject.finding(
                step,
                "condition",
                f"条件不是表达式，永远成立 / a condition that is no expression always holds: {bad[:40]}",
                "$[…]",
            )


RULES = (stray, condition, caller_in_expression, caller_unfiltered, half_quoted, out_of_order)
