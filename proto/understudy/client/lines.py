"""JSON lines: what `--json` prints, for scripts and farms.

One object a line, each with `event` (what it is) and `data`; those of a job also with `job` (its id),
`stage` (its label), `sequence` and `time`. `data` is the protobuf JSON mapping of a message of
`understudy.v1`, with 64-bit whole numbers as numbers and with fields that have their default.
"""

from __future__ import annotations

import inspect
import json
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from understudy.client.errors import UnderstudyError
from understudy.client.job import Event, Job

# The flag was renamed in protobuf 26; hosts bring one or the other.
_NEW, _OLD = "always_print_fields_with_no_presence", "including_default_value_fields"
_DEFAULTS = {_NEW if _NEW in inspect.signature(json_format.MessageToDict).parameters else _OLD: True}
_WHOLE = (FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT64)


def line(event: str, data: object, **more: object) -> str:
    """One line without its end."""
    return json.dumps({"event": event, **more, "data": data}, ensure_ascii=False)


def event_line(job: Job, event: Event) -> str:
    """The line of a job's event."""
    return line(
        event.kind,
        plain(event.message),
        job=event.job,
        stage=job.label or job.stage,
        sequence=event.sequence,
        time=event.time.ToJsonString(),
    )


def error_line(error: UnderstudyError) -> str:
    """The line that a command that fails ends with."""
    data = {"reason": error.reason, "message": error.message, "exitCode": error.exit_code}
    return line("error", {**data, "metadata": error.metadata})


def plain(message: Message) -> dict[str, Any]:
    """A message as JSON values."""
    options: dict[str, Any] = _DEFAULTS
    return _numbers(json_format.MessageToDict(message, **options), message.DESCRIPTOR)


def _numbers(values: dict[str, Any], kind: Any) -> dict[str, Any]:
    """The mapping writes 64-bit numbers as text, for JavaScript's sake; frame numbers are small enough for all."""
    for name, value in values.items():
        field = kind.fields_by_camelcase_name[name]
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            values[name] = {
                key: _number(v, field.message_type.fields_by_name["value"]) for key, v in value.items()
            }
        elif isinstance(value, list):
            values[name] = [_number(v, field) for v in value]
        else:
            values[name] = _number(value, field)
    return values


def _number(value: Any, field: FieldDescriptor) -> Any:
    if field.message_type is not None:
        # Times and durations are text in the mapping, not objects.
        return _numbers(value, field.message_type) if isinstance(value, dict) else value
    return int(value) if field.cpp_type in _WHOLE else value
