"""pyst2's verbs over our wire: what is sent, what replies mean, and that every bad peer is a typed error."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import greenback
import pytest
from asterisk.agi import (
    AGIAppError,
    AGIDBError,
    AGIHangup,
    AGIInvalidCommand,
    AGIResultHangup,
    AGIUnknownError,
    AGIUsageError,
)
from hypothesis import given
from hypothesis import strategies as st

from ivr.agi import (
    COMMAND_BYTES,
    Agi,
    AgiBadValue,
    AgiClosed,
    AgiFault,
    AgiProtocolError,
    AgiTimeout,
    AgiWire,
)

TEXT = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), max_size=60)


def parse_args(line: str) -> list[str]:
    """res_agi.c's parse_args, state for state: the judge of our quoting."""
    words: list[list[str]] = []
    quoted = escaped = False
    blank = True
    for char in line:
        if char == '"' and not escaped:
            quoted = not quoted
            if quoted and blank:
                words.append([])
                blank = False
        elif char in " \t" and not quoted and not escaped:
            blank = True
        elif char == "\\" and not escaped:
            escaped = True
            continue
        else:
            if blank:
                words.append([])
                blank = False
            words[-1].append(char)
        escaped = False
    return ["".join(word) for word in words]


async def talk(
    script: Callable[[Agi], Any], *chunks: bytes, eof: bool = False, seconds: float = 2.0
) -> tuple[Any, list[str]]:
    """Run `script` against a peer that answers each command with the next chunk: its result, its commands."""
    heard: list[str] = []
    answers = iter(chunks)

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            heard.append(line.decode().removesuffix("\n"))
            chunk = next(answers, None)
            if chunk is None:
                if eof:
                    break
                continue
            writer.write(chunk)
        writer.close()

    server = await asyncio.start_server(peer, "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        agi = Agi(AgiWire(reader, writer), {"agi_callerid": "110"}, reply_seconds=seconds)
        try:
            return await greenback.with_portal_run_sync(script, agi), heard
        finally:
            writer.close()


async def error_of(awaitable: Awaitable[Any]) -> BaseException:
    with pytest.raises(BaseException) as caught:
        await awaitable
    return caught.value


OK = b"200 result=1\n"


def test_taking_a_session_leaves_the_process_its_signals(capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGHUP)
    Agi(AgiWire(None, None), {"agi_callerid": "13812345678"})  # type: ignore[arg-type]
    assert signal.getsignal(signal.SIGHUP) is before
    assert capsys.readouterr() == ("", "")


@given(st.lists(TEXT, min_size=1, max_size=4))
def test_any_text_arrives_as_exactly_one_argument(texts: list[str]) -> None:
    agi = Agi(None, {})  # type: ignore[arg-type]
    assert parse_args(" ".join(agi._quote(text) for text in texts)) == texts


@given(TEXT, st.sampled_from("\r\n\0"), TEXT)
def test_a_newline_never_leaves(before: str, break_: str, after: str) -> None:
    text = before + break_ + after
    agi = Agi(None, {})  # type: ignore[arg-type]
    for send in (agi._quote, lambda value: agi.send_command("STREAM FILE", value), agi.send_command):
        with pytest.raises(AgiBadValue):
            send(text)


NASTY = 'a b" \\ "c'
VERBS: list[tuple[Callable[[Agi], Any], list[str]]] = [
    (lambda a: a.answer(), ["ANSWER"]),
    (lambda a: a.set_variable("X", NASTY), ["SET", "VARIABLE", "X", NASTY]),
    (lambda a: a.set_variable("X", ""), ["SET", "VARIABLE", "X", ""]),
    (lambda a: a.stream_file(NASTY, [1, "#"]), ["STREAM", "FILE", NASTY, "1#", "0"]),
    (lambda a: a.set_context(NASTY), ["SET", "CONTEXT", NASTY]),
    (lambda a: a.set_callerid(NASTY), ["SET", "CALLERID", NASTY]),
    (lambda a: a.hangup(), ["HANGUP"]),
    (lambda a: a.hangup(NASTY), ["HANGUP", NASTY]),
    (lambda a: a.verbose(NASTY, 2), ["VERBOSE", NASTY, "2"]),
    (lambda a: a.appexec("Playback", NASTY), ["EXEC", "Playback", NASTY]),
    (lambda a: a.exec_command("Dial", NASTY, 20), ["EXEC", "Dial", NASTY + ",20"]),
    (lambda a: a.database_put("f", "k", NASTY), ["DATABASE", "PUT", "f", "k", NASTY]),
    (lambda a: a.database_del("f", NASTY), ["DATABASE", "DEL", "f", NASTY]),
    (lambda a: a.say_digits(NASTY), ["SAY", "DIGITS", NASTY, ""]),
    (lambda a: a.wait_for_digit(50), ["WAIT", "FOR", "DIGIT", "50"]),
    (lambda a: a.get_data(NASTY, 10, 1), ["GET", "DATA", NASTY, "10", "1"]),
]


@pytest.mark.parametrize(("verb", "words"), VERBS, ids=[" ".join(words[:2]) for _, words in VERBS])
async def test_no_verb_lets_a_value_become_two_arguments(verb: Callable[[Agi], Any], words: list[str]) -> None:
    _, heard = await talk(verb, OK)
    assert [parse_args(line) for line in heard] == [words]


@pytest.mark.parametrize("name", ["database_get", "get_full_variable"])
async def test_reading_verbs_quote_once(name: str) -> None:
    args = ("f", NASTY) if name == "database_get" else (NASTY, "PJSIP/1 2")
    value, heard = await talk(lambda a: getattr(a, name)(*args), b"200 result=1 (v)\n")
    assert value == "v"
    assert parse_args(heard[0])[-2:] == list(args)


async def test_the_longest_command_asterisk_reads_whole_is_the_longest_we_send() -> None:
    room = COMMAND_BYTES - len('SET VARIABLE "X" ""\n')
    _, heard = await talk(lambda a: a.set_variable("X", "v" * room), OK)
    assert len(heard[0]) + 1 == COMMAND_BYTES
    assert isinstance(await error_of(talk(lambda a: a.set_variable("X", "v" * (room + 1)))), AgiBadValue)
    assert isinstance(await error_of(talk(lambda a: a.set_variable("X", "\ud800"))), AgiBadValue)


@pytest.mark.parametrize(
    ("reply", "value"),
    [
        (b"200 result=0\n", None),
        (b"200 result=1 ()\n", ""),
        (b"200 result=1 (a b)\n", "a b"),
        (b"200 result=1 (f(x)=1) (y)\n", "f(x)=1) (y"),
        (b"200 result=1 (result=-1)\n", "result=-1"),
        (b"200 result=1 (one\ntwo)\n", "one\ntwo"),
        (b"200 result=1 (hangup now)\n", "hangup now"),
        ("200 result=1 (报警人张三)\n".encode(), "报警人张三"),
        (
            b"200 result=1 (" + "报".encode() * 341 + b"\xe6)\n",
            "报" * 341,
        ),  # cut at 1,023 + inside a character
        (b"100 result=0 Trying...\n200 result=1 (late)\n", "late"),
        (b"HANGUP\n200 result=1 (still)\n", "still"),
    ],
)
async def test_a_variable_comes_back_as_it_is(reply: bytes, value: str | None) -> None:
    got, _ = await talk(lambda a: a.get_variable("X"), reply)
    assert got == value


REPLIES: list[tuple[bytes, type[BaseException], AgiFault | None]] = [
    (b"510 Invalid or unknown command\n", AGIInvalidCommand, None),
    (b"511 Command Not Permitted on a dead channel or intercept routine\n", AGIResultHangup, None),
    (b"520 Invalid command syntax.  Proper usage not available.\n", AGIUsageError, None),
    (b"520-Invalid command syntax.  Proper usage follows:\nuse it so\n520 End of proper usage.\n",
     AGIUsageError, None),
    (b"520-Invalid command syntax.\nno last newline520 End of proper usage.\n", AGIUsageError, None),
    (b"520-Invalid\n" + b"more\n" * 500, AgiProtocolError, AgiFault.TOO_BIG),
    (b"200 result=-1\n", AGIAppError, None),
    (b"200 result=1 (hangup)\n", AGIResultHangup, None),
    (b"HANGUP\n200 result=-1\n", AGIResultHangup, None),
    (b"HANGUP\n" * 500, AgiProtocolError, AgiFault.TOO_BIG),
    (b"299 result=1\n", AGIUnknownError, None),
    (b"200 nothing\n", AGIUnknownError, None),
    (b"\n", AgiProtocolError, AgiFault.MALFORMED),
    (b"hello\n", AgiProtocolError, AgiFault.MALFORMED),
    (b"2" * 200_000, AgiProtocolError, AgiFault.TOO_BIG),
]  # fmt: skip


@pytest.mark.parametrize(("reply", "error", "kind"), REPLIES, ids=[str(row[0][:40]) for row in REPLIES])
async def test_each_reply_that_is_no_success_is_a_typed_error(
    reply: bytes, error: type[BaseException], kind: AgiFault | None
) -> None:
    raised = await error_of(talk(lambda a: a.answer(), reply))
    assert isinstance(raised, error)
    assert getattr(raised, "kind", None) == kind


async def test_end_of_stream_is_a_hangup_to_a_script() -> None:
    raised = await error_of(talk(lambda a: a.noop(), eof=True))
    assert isinstance(raised, AgiClosed) and isinstance(raised, AGIHangup)
    assert raised.kind is AgiFault.CLOSED_EARLY


async def test_the_end_of_the_stream_inside_a_usage_text_does_not_loop() -> None:
    reader = asyncio.StreamReader()
    reader.feed_data(b"520-Invalid command syntax.\nmore\n")
    reader.feed_eof()
    agi = Agi(AgiWire(reader, None), {})  # type: ignore[arg-type]
    raised = await error_of(greenback.with_portal_run_sync(agi.get_result))
    assert isinstance(raised, AgiClosed) and isinstance(raised, AGIHangup)


async def test_silence_is_a_timeout() -> None:
    raised = await error_of(talk(lambda a: a.noop(), seconds=0.05))
    assert isinstance(raised, AgiTimeout) and raised.kind is AgiFault.REPLY_TIMEOUT


async def test_after_hangup_no_further_command_is_sent() -> None:
    def script(agi: Agi) -> None:
        agi.set_variable("A", 1)
        assert agi.hung_up
        agi.set_variable("B", 2)

    heard: list[str] = []

    def keep(agi: Agi) -> str:
        with pytest.raises(AGIHangup):
            script(agi)
        return "kept"

    result, heard = await talk(keep, b"HANGUP\n" + OK)
    assert (result, len(heard)) == ("kept", 1)


async def test_a_hangup_behind_the_reply_is_seen_before_the_next_command() -> None:
    def script(agi: Agi) -> None:
        agi.noop()
        with pytest.raises(AGIHangup):
            agi.noop()

    _, heard = await talk(script, OK + b"HANGUP\n")
    assert heard == ["NOOP"]


async def test_a_reply_smuggled_in_by_a_newline_never_answers_the_next_command() -> None:
    def script(agi: Agi) -> None:
        assert agi.get_variable("NAME") == "x"
        agi.set_variable("ENTRY_TOKEN", "1")

    raised = await error_of(talk(script, b"200 result=1 (x)\n200 result=1)\n", OK))
    assert isinstance(raised, AgiProtocolError) and raised.kind is AgiFault.MALFORMED


async def test_an_absent_database_key_is_told_apart() -> None:
    assert isinstance(await error_of(talk(lambda a: a.database_get("f", "k"), b"200 result=0\n")), AGIDBError)


async def test_replies_cut_at_every_byte_read_the_same() -> None:
    reply = "HANGUP\n100 result=0 Trying...\n200 result=1 (张(三) = a\nb)\n".encode()
    for cut in range(len(reply) + 1):
        reader = asyncio.StreamReader()
        agi = Agi(AgiWire(reader, None), {})  # type: ignore[arg-type]
        reader.feed_data(reply[:cut])
        asyncio.get_running_loop().call_soon(reader.feed_data, reply[cut:])
        text = await agi._reply(whole_value=True)
        assert agi._result(text)["result"] == ("1", "张(三) = a\nb"), cut
        assert agi.hung_up
