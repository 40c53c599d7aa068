"""CMS (RFC 5652): detached signatures by people whose certificates lead to a pinned root, for sites with a PKI."""
