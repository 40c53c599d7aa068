"""What a site's monitoring loads: recording and alert rules for Prometheus, dashboards for Grafana. Made from the
station's settings; nothing here asks a station that runs."""
