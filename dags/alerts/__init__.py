"""Tells people what `dags.health` finds: one message a cause, one reminder, one when it is over."""
