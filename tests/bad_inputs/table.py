"""All bad inputs, by kind."""

from tests.bad_inputs import adapters, api_calls, checkpoints, command_lines, configs, rows
from tests.bad_inputs.case import BadInput

TABLE: dict[str, list[BadInput]] = {
    "API calls": api_calls.CASES,
    "command lines": command_lines.CASES,
    "configs": configs.CASES,
    "checkpoints": checkpoints.CASES,
    "adapters": adapters.CASES,
    "rows": rows.CASES,
}
CASES = [case for cases in TABLE.values() for case in cases]
