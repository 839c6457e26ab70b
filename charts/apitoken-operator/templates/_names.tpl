{{/* Names and labels. Names leave room for suffixes: a CronJob's name may have 52 characters. */}}

{{- define "apitoken-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- define "apitoken-operator.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* For cluster-scoped objects: releases in two namespaces must not fight over one name. */}}
{{- define "apitoken-operator.clusterName" -}}
{{- $fullname := include "apitoken-operator.fullname" . }}
{{- if eq $fullname .Release.Namespace }}{{ $fullname }}{{ else }}{{ printf "%s-%s" .Release.Namespace $fullname }}{{ end }}
{{- end }}

{{/* The labels that selectors use. They must never change, because a Deployment's selector is immutable. */}}
{{- define "apitoken-operator.selector" -}}
app.kubernetes.io/name: {{ include "apitoken-operator.name" .root | quote }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component | quote }}
{{- end }}

{{/* metadata.labels: dict "root" $ "component" NAME, optionally "labels" with more of them. */}}
{{- define "apitoken-operator.labels" -}}
{{- $own := fromYaml (include "apitoken-operator.selector" .) }}
{{- $_ := set $own "app.kubernetes.io/version" .root.Chart.AppVersion }}
{{- $_ := set $own "app.kubernetes.io/managed-by" .root.Release.Service }}
{{- $_ := set $own "app.kubernetes.io/part-of" .root.Chart.Name }}
{{- $_ := set $own "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-") }}
{{- toYaml (merge $own (deepCopy (default dict .labels)) (deepCopy .root.Values.commonLabels)) }}
{{- end }}

{{/* metadata without its name: dict "root" $ "component" NAME, optionally "labels", "annotations", "isClusterScoped". */}}
{{- define "apitoken-operator.metadata" -}}
{{- if not .isClusterScoped }}
namespace: {{ default .root.Release.Namespace .namespace | quote }}
{{- end }}
labels:
  {{- include "apitoken-operator.labels" . | nindent 2 }}
{{- with merge (deepCopy (default dict .annotations)) (deepCopy .root.Values.commonAnnotations) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* An image's reference: dict "root" $ "image" VALUES. */}}
{{- define "apitoken-operator.image" -}}
{{- $registry := .root.Values.image.registry }}
{{- $name := ternary (printf "%s/%s" $registry .image.repository) .image.repository (ne $registry "") }}
{{- if .image.digest }}{{ printf "%s@%s" $name .image.digest }}{{ else }}{{ printf "%s:%s" $name (default .root.Chart.AppVersion .image.tag) }}{{ end }}
{{- end }}

{{- define "apitoken-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "apitoken-operator.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- required "serviceAccount.name is empty: serviceAccount.create=false needs the name of the ServiceAccount that the controller runs as" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "apitoken-operator.cleanupServiceAccountName" -}}
{{- if .Values.cleanup.serviceAccount.create }}
{{- default (printf "%s-cleanup" (include "apitoken-operator.fullname" .)) .Values.cleanup.serviceAccount.name }}
{{- else }}
{{- required "cleanup.serviceAccount.name is empty: cleanup.serviceAccount.create=false needs the name of the ServiceAccount that the cleanup runs as" .Values.cleanup.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "apitoken-operator.verifierServiceAccountName" -}}
{{- if .Values.verifier.serviceAccount.create }}
{{- default (printf "%s-verifier" (include "apitoken-operator.fullname" .)) .Values.verifier.serviceAccount.name }}
{{- else }}
{{- required "verifier.serviceAccount.name is empty: verifier.serviceAccount.create=false needs the name of the ServiceAccount that the verifier runs as" .Values.verifier.serviceAccount.name }}
{{- end }}
{{- end }}
