module apitoken-operator/local/chart-tools/oldest-kubernetes

go 1.26.0

require k8s.io/kubernetes v1.31.14
