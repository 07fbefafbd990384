"""Web traffic, from access logs or from a seeded generator, as rows of ``events``.

``access_log``, ``page_views``, ``user_agent``, ``sessions``, ``shift``, ``generate`` and ``report`` are pure;
``load`` opens files and writes to the engine.
"""
