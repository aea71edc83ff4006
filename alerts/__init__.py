"""Rules, runbooks and dashboards for those who run Prometheus, Alertmanager and Grafana."""
