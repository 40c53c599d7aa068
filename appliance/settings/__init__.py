"""What a site chooses: config.toml, approvals.toml, policy."""
