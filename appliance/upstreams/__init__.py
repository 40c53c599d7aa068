"""The registries that `collect` reads from: accounts, certificates, mirrors and the way there (docs/adr/0040).

`accounts`, `auth_files` and `credential_helpers` run in the process of the person who collects; `accounts` carries what
they found to the job. `upstream`, `certificates` and `registries_conf` say what the station's settings and the
machine's own configuration make of a registry.
"""
