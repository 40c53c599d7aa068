"""Spans of requests and jobs as OTLP JSON files, and the trace context that clients send (docs/adr/0075-traces.md)."""
