module apitoken-operator/local/gitops-tools/crds

go 1.26.0

require (
	github.com/argoproj/argo-cd/v3 v3.3.0
	github.com/cloudnative-pg/cloudnative-pg v1.27.0
	github.com/crossplane/crossplane/v2 v2.0.2
	github.com/external-secrets/external-secrets v0.16.2
	github.com/fluxcd/helm-controller v1.4.0
	github.com/fluxcd/kustomize-controller v1.9.6
	github.com/fluxcd/source-controller v1.7.0
	github.com/kyverno/kyverno v1.19.1
)
