"""Options that every server has: its two listeners, its certificates, its logs."""

from app.cli.options import DURATION, SIZE, Choice, Decorator, many, option, options


def certificate_options(command: str, *more: Decorator) -> Decorator:
    """Certificates, with what a command has more."""
    return options(
        command,
        "Certificates",
        *more,
        option(
            "tls_drain_window",
            "--tls.drain-window",
            type=DURATION,
            default="1m",
            help="Over it connections that were made with renewed material are replaced.",
        ),
    )


def grpc_options(command: str, *more: Decorator) -> Decorator:
    """The gRPC listener, with what a command has more."""
    return options(
        command,
        "gRPC listener",
        option(
            "grpc_address",
            "--grpc-address",
            metavar="HOST:PORT",
            default="0.0.0.0:10901",
            help="Where to listen.",
        ),
        option(
            "grpc_server_tls_cert", "--grpc-server-tls-cert", metavar="FILE", default="", help="Certificate."
        ),
        option("grpc_server_tls_key", "--grpc-server-tls-key", metavar="FILE", default="", help="Key."),
        option(
            "grpc_server_tls_client_ca",
            "--grpc-server-tls-client-ca",
            metavar="FILE",
            default="",
            help="CA bundle for client certificates, which are then required.",
        ),
        option(
            "grpc_server_tls_crl",
            "--grpc-server-tls-crl",
            metavar="FILE",
            default="",
            help="CRLs, one for each CA of the client CA bundle.",
        ),
        many(
            "grpc_server_allowed_identity",
            "--grpc-server-allowed-identity",
            metavar="IDENTITY",
            help="SPIFFE URI or DNS name of which a client certificate must carry one. Repeatable.",
        ),
        option(
            "grpc_server_tls_min_version",
            "--grpc-server-tls-min-version",
            metavar="VERSION",
            default="1.3",
            help="1.2 or 1.3.",
        ),
        many(
            "grpc_server_tls_ciphers",
            "--grpc-server-tls-ciphers",
            metavar="NAMES",
            help="Cipher suites for TLS 1.2, by Go's or OpenSSL's names.",
        ),
        many("grpc_server_tls_curves", "--grpc-server-tls-curves", metavar="NAME", help="The curve to use."),
        option(
            "grpc_server_max_connection_age",
            "--grpc-server-max-connection-age",
            type=DURATION,
            default="60m",
            help="After it a connection is drained, so that clients shake hands anew; 0 disables.",
        ),
        option(
            "grpc_server_max_connection_age_grace",
            "--grpc-server-max-connection-age-grace",
            type=DURATION,
            default=None,
            help="After it what still runs on a drained connection is cut. Default: wait for the streams.",
        ),
        option(
            "grpc_server_max_message_size",
            "--grpc-server-max-message-size",
            type=SIZE,
            default="4MiB",
            help="Of a request.",
        ),
        option(
            "grpc_grace_period",
            "--grpc-grace-period",
            type=DURATION,
            default="2m",
            help="How long a stop waits for calls in flight.",
        ),
        *more,
    )


def http_options(command: str, *more: Decorator) -> Decorator:
    """The HTTP listener, with what a command has more."""
    return options(
        command,
        "HTTP listener",
        option(
            "http_address",
            "--http-address",
            metavar="HOST:PORT",
            default="0.0.0.0:10902",
            help="Where to listen.",
        ),
        option(
            "http_grace_period",
            "--http-grace-period",
            type=DURATION,
            default="2m",
            help="How long a stop waits for requests in flight.",
        ),
        option(
            "http_config",
            "--http.config",
            metavar="FILE",
            default="",
            help="TLS and basic auth, in the web configuration format of Prometheus.",
        ),
        *more,
    )


def log_options(command: str) -> Decorator:
    """Logs."""
    return options(
        command,
        "Logs",
        option(
            "log_level",
            "--log.level",
            type=Choice(["debug", "info", "warn", "error"]),
            default="info",
            help="Level.",
        ),
        option(
            "log_format", "--log.format", type=Choice(["logfmt", "json"]), default="logfmt", help="Format."
        ),
    )
