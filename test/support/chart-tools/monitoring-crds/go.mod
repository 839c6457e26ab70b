module apitoken-operator/test/support/chart-tools/monitoring-crds

go 1.26.0

require github.com/prometheus-operator/prometheus-operator v0.91.0
