"""Generate app/pb from protos/: betterproto2 modules and the descriptor set that reflection serves.

usage: generate.py [--check] OUTPUT_DIRECTORY

With --check nothing is written; the exit code is 1 when OUTPUT_DIRECTORY is out of date.
"""

import argparse
import filecmp
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
from importlib import resources

SOURCES = pathlib.Path(__file__).resolve().parent


# betterproto2 makes datetimes of google.protobuf.Timestamp, which have no nanoseconds, and fail for years
# that they do not know. For Python it is a message of our own with the same fields; what reflection serves,
# and what is on the wire, is the real one.
_TIMESTAMP = """syntax = "proto3";
package thanos;
message Timestamp {
  // Since the epoch.
  int64 seconds = 1;
  int32 nanos = 2;
}
"""


def generate(output: pathlib.Path) -> None:
    """Fill `output` with the generated package.

    :raises subprocess.CalledProcessError: protoc refused a file; it has said why.
    """
    descriptors = [f"--descriptor_set_out={output / 'descriptors.binpb'}", "--include_imports"]
    _protoc(SOURCES, descriptors)
    with tempfile.TemporaryDirectory() as scratch:
        sources = pathlib.Path(scratch)
        for path in SOURCES.rglob("*.proto"):
            copy = sources / path.relative_to(SOURCES)
            copy.parent.mkdir(parents=True, exist_ok=True)
            text = path.read_text().replace("google/protobuf/timestamp.proto", "thanos/timestamp.proto")
            copy.write_text(text.replace("google.protobuf.Timestamp", "Timestamp"))
        (sources / "thanos/timestamp.proto").write_text(_TIMESTAMP)
        plugin = pathlib.Path(sys.executable).parent / "protoc-gen-python_betterproto2"
        python = [
            f"--plugin=protoc-gen-python_betterproto2={plugin}",
            f"--python_betterproto2_out={output}",
            "--python_betterproto2_opt=client_generation=none",
            "--python_betterproto2_opt=server_generation=none",
        ]
        _protoc(sources, python)


def _protoc(sources: pathlib.Path, options: list[str]) -> None:
    wellknown = resources.files("grpc_tools") / "_proto"
    # The plugin and the ruff that it calls stand beside the interpreter; no environment has to be active.
    programs = pathlib.Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', '')}"}
    files = sorted(str(path.relative_to(sources)) for path in sources.rglob("*.proto"))
    protoc = [sys.executable, "-m", "grpc_tools.protoc"]
    paths = [f"--proto_path={sources}", f"--proto_path={wellknown}"]
    subprocess.run([*protoc, *paths, *options, *files], check=True, env=environment)


def differences(made: pathlib.Path, found: pathlib.Path) -> list[str]:
    """Paths that differ between two generated trees, relative to them."""
    names = {
        path.relative_to(tree)
        for tree in (made, found)
        for path in tree.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    return sorted(
        str(name)
        for name in names
        if not (made / name).is_file()
        or not (found / name).is_file()
        or not filecmp.cmp(made / name, found / name, shallow=False)
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    parser.add_argument("output", type=pathlib.Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        made = pathlib.Path(scratch) / "pb"
        made.mkdir()
        generate(made)
        if options.check:
            stale = differences(made, options.output)
            for name in stale:
                sys.stderr.write(f"{options.output / name} is out of date: run `make protos`\n")
            return 1 if stale else 0
        shutil.rmtree(options.output, ignore_errors=True)
        shutil.copytree(made, options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
