"""Loading of the settings, from the values of a file and the environment."""

from __future__ import annotations

import os
from typing import Any

from pydantic import ValidationError
from pydantic_settings import SettingsError

from serve_app.errors import ConfigurationError
from serve_app.known_names import names_at, suggestion
from serve_app.settings.environment import unknown_variables
from serve_app.settings.tree import Settings


def load_settings(values: dict[str, Any] | None = None) -> Settings:
    """Settings from the ``args`` of the application in a configuration file and the environment, which has precedence.

    Raises ConfigurationError if a value is invalid or a name is unknown; the message has one line per problem.
    """
    refuse_unknown_variables()
    try:
        return Settings(**(values or {}))
    except (
        SettingsError,
        RecursionError,
    ) as error:  # of the environment; its message names the field, its cause says what is wrong
        raise _invalid([f'{error}: JSON was expected, such as ["a", "b"] for a list; {error.__cause__}']) from None
    except ValidationError as error:
        raise _invalid(
            [f"{'.'.join(map(str, found['loc'])) or 'settings'}: {_message(found)}" for found in error.errors()]
        ) from None


def refuse_unknown_variables() -> None:
    """Raise ConfigurationError if the environment has variables with the prefix that nothing reads."""
    if problems := unknown_variables(os.environ):
        raise _invalid(problems)


def _message(found: Any) -> str:
    if found["type"] != "extra_forbidden":
        return str(found["msg"])
    *section, name = found["loc"]
    return f"is not a known setting{suggestion(str(name), names_at(Settings, section))}"


def _invalid(problems: list[str]) -> ConfigurationError:
    return ConfigurationError("The configuration is not valid:\n  " + "\n  ".join(problems))
