"""Settings of an installation, each declared once: environment variables `MOE_VIZ_...`, then a file, then a profile, then the default.

The file is `moe_viz.toml` in the working directory, or where `MOE_VIZ_CONFIG` points. A profile is nothing but other defaults.
A refused value ends the start with one sentence. Nothing else in the package reads the environment.
"""

from __future__ import annotations

import os
import sys
from functools import lru_cache
from pathlib import Path
from tomllib import TOMLDecodeError
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError
from pydantic_settings.sources import TomlConfigSettingsSource

from moe_viz.spec.describe import allowed

PREFIX = "MOE_VIZ_"
FILE = "moe_viz.toml"
APART = frozenset({"config", "chromium"})
"""Words after the prefix that are no settings: where the file is, and the browser that the tests drive."""

SITE = r"https?://[A-Za-z0-9.\-]+(:\d{1,5})?"
"""An origin, as a browser compares it: scheme, host and port, no path."""

PROFILES: dict[str, dict[str, Any]] = {
    "default": {},
    "low_memory": {
        "max_runs": 12,
        "release_s": 120.0,
        "history_bytes": 40_000_000,
        "model_bytes": 150_000_000,
        "store_bytes": 300_000_000,
        "upload_bytes": 8_000_000,
    },
    "classroom": {
        "max_runs": 48,
        "release_s": 1200.0,
        "store_bytes": 5_000_000_000,
        "history_bytes": 120_000_000,  # thirty histories are full after some minutes, not after the lesson
    },
}


def _default_home() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA") or "~/.cache"
    return Path(cache) / "moe_viz"


class Settings(BaseSettings):
    """What an operator can set. `unit` of a field: what its number counts."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, extra="forbid", frozen=True, hide_input_in_errors=True
    )

    profile: Literal["default", "low_memory", "classroom"] = Field(
        "default", description="a set of other defaults: low_memory for about 1 GB, classroom for one lesson of 30"
    )
    home: Path = Field(default_factory=_default_home, description="folder of the saved runs and logs")
    engine: str = Field(
        "local",
        pattern=r"^(local|ray|ray:auto|ray:(//)?[A-Za-z0-9_.\[\]:-]+:\d{1,5})$",
        description="where models train: local, ray, ray://host:port, ray:host:port or ray:auto",
    )
    embed: str = Field(
        "",
        pattern=rf"^({SITE}( {SITE})*)?$",
        description="sites whose pages may show the lab in a frame, with a space between two; where any is named, all others may not",
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="device of runs whose own device is auto")
    threads: int = Field(
        1, ge=1, le=64, description="CPU threads of one training step", json_schema_extra={"unit": "threads"}
    )
    max_runs: int = Field(
        64, ge=1, le=2000, description="runs in memory at once, in one worker", json_schema_extra={"unit": "runs"}
    )
    lease_s: float = Field(
        30.0, ge=5, le=3600, description="an unread run pauses after this time", json_schema_extra={"unit": "s"}
    )
    release_s: float = Field(
        600.0, ge=10, le=86_400, description="an unread run leaves memory after this", json_schema_extra={"unit": "s"}
    )
    checkpoint_s: float = Field(
        4.0, ge=0.5, le=600, description="time between checkpoints of a run", json_schema_extra={"unit": "s"}
    )
    updates_per_second: float = Field(
        30.0,
        ge=1,
        le=1000,
        description="pictures drawn a second, for all readers together; they share them",
        json_schema_extra={"unit": "updates"},
    )
    store_bytes: int = Field(
        1_000_000_000,
        ge=10_000_000,
        le=10**13,
        description="all saved runs; beyond it those used longest ago go",
        json_schema_extra={"unit": "bytes"},
    )
    history_bytes: int = Field(
        300_000_000,
        ge=8_000_000,
        le=10**12,
        description="histories and keyframes of all runs in memory",
        json_schema_extra={"unit": "bytes"},
    )
    model_bytes: int = Field(
        1_000_000_000,
        ge=50_000_000,
        le=10**13,
        description="models and optimisers of all runs in memory, and what one step may take on top",
        json_schema_extra={"unit": "bytes"},
    )
    largest_step: int = Field(
        8_000_000_000,
        ge=100_000_000,
        le=10**15,
        description="multiply-adds of one training step of one run; more where a GPU trains",
    )
    upload_bytes: int = Field(
        12_000_000,
        ge=1_000_000,
        le=200_000_000,
        description="one exported run that is imported",
        json_schema_extra={"unit": "bytes"},
    )
    passphrase: SecretStr | None = Field(
        None, min_length=4, max_length=200, description="asked from everyone who opens the lab; none: open to all"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="least level that is logged")
    log_format: Literal["text", "json"] = Field("text", description="lines for people or for a log collector")
    log_to: Literal["file", "stderr"] = Field(
        "file", description="the worker's log: worker.log in the home folder, or the server's standard error"
    )

    @field_validator("home", mode="after")
    @classmethod
    def _expanded(cls, home: Path) -> Path:
        return home.expanduser().absolute()

    @field_validator("log_level", "log_format", "log_to", "device", "profile", mode="before")
    @classmethod
    def _lower(cls, value: Any) -> Any:
        return value.lower() if isinstance(value, str) else value

    @model_validator(mode="after")
    def _in_order(self) -> Settings:
        if self.release_s < self.lease_s:
            raise ValueError(
                f"{PREFIX}RELEASE_S = {self.release_s:g} is not allowed; it must be at least {PREFIX}LEASE_S = {self.lease_s:g}"
            )
        return self

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: Any, env_settings: Any, **_: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        file = TomlConfigSettingsSource(settings_cls, toml_file=config_file())
        return init_settings, env_settings, file, _Profile(settings_cls)


class _Profile(PydanticBaseSettingsSource):
    """The defaults of the profile that a stronger source has named."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        return self().get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        return PROFILES.get(str(self.current_state.get("profile", "default")).lower(), {})


class BadSettings(ValueError):
    """Refused settings; the message names each variable, its value and what is allowed."""


def config_file() -> Path | None:
    """The file to read, None where there is none. Raises BadSettings where one is named that is not there."""
    named = os.environ.get(PREFIX + "CONFIG")
    if named and not Path(named).is_file():
        raise BadSettings(f"{PREFIX}CONFIG = {named!r}: there is no such file")
    return Path(named) if named else Path(FILE) if Path(FILE).is_file() else None


def load(**values: Any) -> Settings:
    """The settings now; `values` win over every source. Raises BadSettings."""
    try:
        return Settings(**values)
    except ValidationError as error:
        raise BadSettings("; ".join(_sentence(problem) for problem in error.errors())) from error
    except TOMLDecodeError as error:
        raise BadSettings(f"{config_file()} is not a TOML file: {error}") from error
    except (SettingsError, UnicodeDecodeError, OSError) as error:
        raise BadSettings(f"the settings cannot be read: {error}") from error


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process, read once. Raises BadSettings."""
    return load()


def settings_or_exit() -> Settings:
    """`settings()` for a start from a terminal: a refused value ends the process (exit code 2) with its sentence, no traceback."""
    try:
        return settings()
    except BadSettings as error:
        print(f"moe_viz cannot start: {error}.", file=sys.stderr)
        raise SystemExit(2) from None


def come_with_streamlit() -> bool:
    """Whether there is a file of secrets: it may hold settings, which are known only once Streamlit has made variables of them."""
    usual = [folder / ".streamlit" / "secrets.toml" for folder in (Path("~").expanduser(), Path.cwd())]
    return "STREAMLIT_SECRETS_FILES" in os.environ or any(path.is_file() for path in usual)


def unknown_variables() -> list[str]:
    """Environment variables with our prefix that mean nothing: most likely misspelt."""
    words = {PREFIX + word.upper() for word in (*Settings.model_fields, *APART)}
    return sorted(name for name in os.environ if name.upper().startswith(PREFIX) and name.upper() not in words)


def _sentence(problem: Any) -> str:
    if not problem["loc"]:
        return problem["msg"].removeprefix("Value error, ")
    word = str(problem["loc"][0])
    variable = PREFIX + word.upper()
    if word not in Settings.model_fields:
        return f"{word} in {config_file()} is not a setting; there are {', '.join(Settings.model_fields)}"
    where = variable if os.environ.get(variable) else f"{word} in {config_file()}" if config_file() else word
    value = "(hidden)" if word == "passphrase" else repr(problem["input"])
    return f"{where} = {value} is not allowed; it must be {_allowed(word)}"


def _allowed(word: str) -> str:
    info = Settings.model_fields[word]
    if word == "engine":
        return "local, ray, ray://host:port, ray:host:port or ray:auto"
    if word == "passphrase":
        return "text of 4 to 200 characters"
    if word == "home":
        return "the path of a folder"
    unit = (info.json_schema_extra or {}).get("unit", "")
    return f"{allowed(info)} {unit}".strip()
