"""SSH keys and signatures (PROTOCOL.sshsig)."""
