"""Carrying files by SFTP: transfer hosts, their keys, and one file at a time there and back."""
