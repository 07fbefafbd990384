"""Work of any kind that a person asks for: request, log, control, lease, runner, progress; and runs that died."""
