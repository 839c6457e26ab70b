{{/* What the controller does to the resources of the namespaces that it looks at. */}}
{{- define "apitoken-operator.namespacedRules" -}}
- apiGroups: [apitoken.dev]
  resources: [apitokens]
  # patch: the finalizer alone.
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
