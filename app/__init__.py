"""Crossrealm: one querier for many certificate realms.

Read the folders in the order in which a request meets them: config, discovery, tls, rpc, endpoints,
fanout, services and web. `lifecycle` starts and stops them; `cli` turns flags into settings.
"""
