"""What every value of the directory is. Knows: pydantic. Must not know: any of them."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from cti.directory.fields import Text


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Name(Frozen):
    """A name in both languages."""

    zh: Text
    en: Text
