{{/* Values as CEL literals. */}}

{{- define "apitoken-operator.celString" -}}
'{{ . | replace "\\" "\\\\" | replace "'" "\\'" }}'
{{- end }}

{{- define "apitoken-operator.celList" -}}
{{- $literals := list }}
{{- range . }}{{ $literals = append $literals (include "apitoken-operator.celString" .) }}{{ end -}}
[{{ join ", " $literals }}]
{{- end }}

{{/* The name by which the API server knows the controller. */}}
{{- define "apitoken-operator.controllerUser" -}}
{{ include "apitoken-operator.celString" (printf "system:serviceaccount:%s:%s" .Release.Namespace (include "apitoken-operator.serviceAccountName" .)) }}
{{- end }}
