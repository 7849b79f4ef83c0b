"""Machine code: the loop, compiled once on a machine, and loaded from disk from then on.

Compiling needs Numba and takes some seconds; loading needs a hundredth of one, and llvmlite alone.
So what Numba makes is kept as an object file, beside the sources, or in the user's cache where that
cannot be written, or nowhere. It is filed under everything that it follows from: the sources of
this folder, the compiler, the processor.
"""

import ctypes
import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import llvmlite.binding as llvm

from opensqt.backtest.integer.notices import compiling

Loop = Callable[[int], None]
"""Takes the address of a world, and changes it."""

SOURCES: Final = Path(__file__).parent
DIGEST_SIZE: Final = 32
COMPILERS: Final = ("numba", "llvmlite")
_OWN: Final = re.compile(r"declare .*@llvm\.")
"""A declaration of what LLVM itself provides."""


@cache
def loop() -> Loop:
    """The loop, from disk if it is there, else compiled and kept.

    Raises:
        ImportError: It has to be compiled, and there is no Numba.
    """
    made = kept()
    if made is None:
        made = _compiled()
        for place in places():
            with suppress(OSError):
                _keep(place, hashlib.sha256(made).digest() + made)
                break
    return _loaded(made)


def kept() -> bytes | None:
    """What was compiled before, of these very sources; None when it is not there, or not whole."""
    for place in places():
        with suppress(OSError):
            content = (place / _name()).read_bytes()
            if hashlib.sha256(content[DIGEST_SIZE:]).digest() == content[:DIGEST_SIZE]:
                return content[DIGEST_SIZE:]
    return None


def places() -> Iterator[Path]:
    """Where compiled code may be kept, the best place first."""
    yield SOURCES / "__pycache__"
    home = os.environ.get("XDG_CACHE_HOME")
    with suppress(RuntimeError):  # nobody's home
        yield (Path(home) if home else Path.home() / ".cache") / "opensqt"


def _name() -> str:
    """The file's name, by all that compiled code follows from."""
    digest = hashlib.sha256()
    for path in sorted(SOURCES.glob("*.py")):
        digest.update(path.read_bytes())
    for compiler in COMPILERS:
        with suppress(PackageNotFoundError):
            digest.update(f"{compiler} {version(compiler)}\n".encode())
    processor = (llvm.get_default_triple(), llvm.get_host_cpu_name())
    digest.update(repr((processor, llvm.get_host_cpu_features().flatten())).encode())
    return f"whole-numbers-{digest.hexdigest()[:24]}.o"


def _keep(place: Path, content: bytes) -> None:
    """Write a file that is there whole or not at all, whoever else writes it."""
    place.mkdir(parents=True, exist_ok=True)
    handle, path = tempfile.mkstemp(dir=place, prefix=f"{_name()}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(path).chmod(0o644)  # whoever may read the sources may read it
        Path(path).replace(place / _name())
    except OSError:
        Path(path).unlink(missing_ok=True)
        raise


def _compiled() -> bytes:
    """The name of the loop in its object file, a line feed, and the object file."""
    from numba import types  # most processes never need it
    from numba.core import compiler
    from numba.core.registry import cpu_target

    from opensqt.backtest.integer.life import live

    compiling()
    typing, target = cpu_target.typing_context, cpu_target.target_context
    typing.refresh()
    target.refresh()
    flags: Any = compiler.Flags()  # type: ignore[no-untyped-call]
    flags.no_cpython_wrapper = flags.no_cfunc_wrapper = True
    flags.error_model = "numpy"
    made: Any = compiler.compile_extra(typing, target, live, (types.int64,), types.none, flags, {})  # type: ignore[no-untyped-call]
    lines = made.library.get_llvm_str().splitlines()
    foreign = [line for line in lines if line.startswith("declare") and not _OWN.match(line)]
    assert not foreign, f"the loop calls what is not in it: {foreign}"
    code: bytes = made.library._get_compiled_object()  # noqa: SLF001  # as Numba's own cache does
    name: str = made.fndesc.llvm_func_name
    return name.encode() + b"\n" + code


_engines: list[Any] = []
"""What owns the code that was loaded."""


def _loaded(made: bytes) -> Loop:
    """Make a function of what was compiled."""
    name, _, code = made.partition(b"\n")
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine(jit=True)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    _engines.append(engine)
    # As Numba calls: where a result and an error go, neither of which there is, come first.
    call = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)(
        engine.get_function_address(name.decode())
    )
    result, error = ctypes.c_int64(0), ctypes.c_void_p(None)

    def run(address: int) -> None:
        failed = call(ctypes.addressof(result), ctypes.addressof(error), address)
        assert not failed, f"the loop ended with {failed}"

    return run
