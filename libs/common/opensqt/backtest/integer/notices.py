"""Notices: who is told when the engine is compiled, without loading the compiler to ask."""

from collections.abc import Callable

_listeners: set[Callable[[], None]] = set()


def tell_of_compiling(listener: Callable[[], None]) -> None:
    """Call `listener` when the engine has to be compiled, which takes a while; once."""
    _listeners.add(listener)


def compiling() -> None:
    """The engine is being compiled."""
    while _listeners:
        _listeners.pop()()
