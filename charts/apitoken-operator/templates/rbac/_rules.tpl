{{/* The controller's rights in the namespaces that it watches. */}}
{{- define "apitoken-operator.namespacedRules" -}}
- apiGroups: [apitoken.dev]
  resources: [apitokens]
  # patch: only for the finalizer.
  verbs: [get, list, watch, patch]
- apiGroups: [apitoken.dev]
  resources: [apitokens/status]
  verbs: [update]
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- end }}
