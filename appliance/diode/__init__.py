"""Bundles over a one-way link: datagrams that say themselves whose they are, and a code that makes up for lost ones."""
