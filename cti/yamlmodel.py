"""Pydantic's errors over a YAML document, said as `Problem`s: where, what is wrong, what to do.

Knows: pydantic's error types and `yamlfile.Document`. Must not know: any particular model.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from cti.problem import Problem, Way, did_you_mean, dotted
from cti.yamlfile import Document

M = TypeVar("M", bound=BaseModel)

PRIVATE: Final = frozenset({"secret", "password", "url", "pin"})
"""Names of values that no message may repeat."""

_MESSAGES: Final[dict[str, tuple[str, str]]] = {
    "missing": ("缺少必填项 / required and missing", "补上这一项 / add it"),
    "string_type": ("须为文字 / must be text", '加引号 / put it in quotes: "{input}"'),
    "int_type": ("须为整数 / must be a whole number", "去掉引号或小数 / no quotes, no fraction"),
    "int_parsing": ("须为整数 / must be a whole number", ""),
    "int_from_float": ("须为整数 / must be a whole number", "去掉小数 / no fraction"),
    "float_type": ("须为数字 / must be a number", ""),
    "float_parsing": ("须为数字 / must be a number", ""),
    "bool_type": ("须为 true 或 false / must be true or false", ""),
    "bool_parsing": ("须为 true 或 false / must be true or false", ""),
    "greater_than_equal": ("不得小于 {ge} / must be at least {ge}", ""),
    "less_than_equal": ("不得大于 {le} / must be at most {le}", ""),
    "greater_than": ("须大于 {gt} / must be more than {gt}", ""),
    "literal_error": ("须为 {expected} 之一 / must be one of {expected}", ""),
    "union_tag_invalid": ("种类须为 {expected_tags} 之一 / kind must be one of {expected_tags}", ""),
    "union_tag_not_found": ("缺少 kind / kind is missing", "写明 kind / say which kind"),
    "string_too_short": ("至少 {min_length} 个字符 / at least {min_length} characters", ""),
    "string_too_long": ("至多 {max_length} 个字符 / at most {max_length} characters", ""),
    "too_short": ("至少 {min_length} 项 / at least {min_length} entries", ""),
    "too_long": ("至多 {max_length} 项 / at most {max_length} entries", ""),
    "model_type": (
        "须为键值表 / must be a mapping of keys to values",
        "检查冒号和缩进 / check colons and indentation",
    ),
    "model_attributes_type": (
        "须为键值表 / must be a mapping",
        "检查冒号和缩进 / check colons and indentation",
    ),
    "mapping_type": ("须为键值表 / must be a mapping", "检查冒号和缩进 / check colons and indentation"),
    "dict_type": ("须为键值表 / must be a mapping", "检查冒号和缩进 / check colons and indentation"),
    "tuple_type": ("须为列表 / must be a list", "每项以 - 开头 / begin each entry with -"),
    "date_type": ("须为日期 / must be a date", "写作 / write 2027-01-01"),
    "date_from_datetime_parsing": ("须为日期 / must be a date", "写作 / write 2027-01-01"),
    "date_from_datetime_inexact": (
        "须为日期，不带时刻 / must be a date without a time",
        "写作 / write 2027-01-01",
    ),
    "path_type": ("须为路径 / must be a path", ""),
}


def validate(
    model: type[M], document: Document, private: frozenset[str] = PRIVATE
) -> tuple[M | None, list[Problem]]:
    """The document's value as `model`, or `None` and what is wrong with it. `private` names stay unsaid."""
    if document.problems:
        return None, list(document.problems)
    try:
        return model.model_validate(document.value), []
    except ValidationError as error:
        problems = [placed(one, document, model, private) for one in slips(error, model)]
        return None, sorted(problems, key=lambda p: (p.line, p.column))


def slips(error: ValidationError, model: type[BaseModel]) -> list[dict[str, Any]]:
    """Pydantic's errors, one per slip of the pen.

    A misspelt key is not also said to be missing, and a list is not too short for what its entries lack.
    """
    errors: list[dict[str, Any]] = [dict(one) for one in error.errors(include_url=False)]
    meant = {
        (*loc[:-1], did_you_mean(loc[-1], _names(model, loc[:-1])))
        for loc in (tuple(one["loc"]) for one in errors if one["type"] == "extra_forbidden")
    }
    above = {tuple(one["loc"])[:n] for one in errors for n in range(len(one["loc"]))}
    consequences = {"missing": meant, "too_short": above}
    return [one for one in errors if tuple(one["loc"]) not in consequences.get(str(one["type"]), ())]


def describe(
    error: dict[str, Any], model: type[BaseModel], private: frozenset[str] = PRIVATE
) -> tuple[str, str]:
    """Message and cure for one pydantic error of `model`, without a place."""
    kind, loc, value = str(error["type"]), tuple(error["loc"]), error.get("input")
    context: dict[str, Any] = error.get("ctx", {})
    if kind == "extra_forbidden":
        near = did_you_mean(loc[-1], known := _names(model, loc[:-1]))
        message = f"未知的键 {loc[-1]} / unknown key '{loc[-1]}'" + (
            f"; did you mean '{near}'?" if near else ""
        )
        cure = f"改为 / write {near}" if near else f"可用 / known: {', '.join(known)}" if known else ""
        return message, cure
    if kind not in _MESSAGES:  # our own validators bring both languages and their cure
        return str(error["msg"]), str(context.get("cure", ""))
    shown = private.isdisjoint(str(part) for part in loc)
    message, cure = _MESSAGES[kind]
    fields = {**context, "input": value if shown and not isinstance(value, dict | list) else "…"}
    message, cure = message.format(**fields), cure.format(**fields)
    if (
        kind == "literal_error"
        and not isinstance(value, str)
        and f"'{value}'" in str(context.get("expected"))
    ):
        cure = f'加引号 / put it in quotes: "{value}"'
    elif kind in ("literal_error", "union_tag_invalid"):
        word = context.get("tag", value)
        expected = str(context.get("expected", context.get("expected_tags", "")))
        near = did_you_mean(word, expected.replace("'", " ").replace(",", " ").split())
        cure = f"改为 / write {near}" if near else cure
    if shown and kind != "missing" and isinstance(value, str | int | float):
        message += f"，现为 / is {value!r:.40}"
    return message, cure


def placed(
    error: dict[str, Any], document: Document, model: type[BaseModel], private: frozenset[str] = PRIVATE
) -> Problem:
    """One of `slips` as a `Problem` at its value, its key, or where it is missing."""
    message, cure = describe(error, model, private)
    loc = tuple(error["loc"])
    way: Way = ()
    for part in loc:  # union tags and "[key]" are pydantic's own steps: the file has no such place
        if (*way, part) in document.values:
            way = (*way, part)
    mark = document.mark(way, key=error["type"] == "extra_forbidden" or loc[-1:] == ("[key]",))
    shown = (*way, loc[-1]) if error["type"] == "missing" and loc else way
    return Problem(document.file, mark.line, dotted(shown), message, cure, mark.column)


def _names(model: type[BaseModel], loc: Way) -> list[str]:
    """The fields a mapping at `loc` may have."""
    here: list[Any] = [model]
    for part in loc:
        here = [step for one in here for step in _steps(one, part)]
    return sorted({name for one in here for m in _models(one) for name in m.model_fields})


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and not get_args(annotation) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) is Annotated:
        yield from _models(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, types.UnionType):
        for one in get_args(annotation):
            yield from _models(one)


def _steps(annotation: Any, part: str | int) -> Iterator[Any]:
    arguments = get_args(annotation)
    if get_origin(annotation) is Annotated:
        yield from _steps(arguments[0], part)
    elif get_origin(annotation) in (tuple, list) and isinstance(part, int):
        yield arguments[0]
    elif get_origin(annotation) in (dict, Mapping):
        yield arguments[1]
    else:
        for model in _models(annotation):
            if part in model.model_fields:
                yield model.model_fields[str(part)].annotation
            elif any(
                part in get_args(f.annotation)
                for f in model.model_fields.values()
                if get_origin(f.annotation) is Literal
            ):
                yield model
