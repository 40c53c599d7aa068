"""Signed documents beside bundles: approvals, reports, receipts, custody, the audit log's format."""
