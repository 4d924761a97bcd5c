"""The HTTP API of Prometheus, with the parameters of Thanos: `/api/v1/*`.

`routes` puts it together. A request becomes a `Call` (`handling`), its parameters are read (`form`,
`parameters`, `matching`, `tenancy`), a handler answers (`queries`, `labels`, `proxied`, `status`,
`language`), and `encoding` and `envelope` write the answer.
"""
