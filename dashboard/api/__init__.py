"""The JSON API's kit: its door, keys, errors, lenient fields, lists and idempotency. The apps declare their resources.

A request goes: door (who, how often, once) -> the operation's permission -> its body or parameters -> a QuerySet or a
domain function, the same the pages use -> JSON. `dashboard.api.v1` mounts the resources.
"""
