"""The verbs of ``3gsync`` that are not roles of their own.

Each module has ``add_arguments(parser)`` and ``run(arguments, environ) -> exit code``, is
imported only when its verb is asked for, and raises ConfigError for wrong use.
"""
