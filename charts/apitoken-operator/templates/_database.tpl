{{/*
How a program reaches Postgres. Each has a login of its own, whose Secret holds either a whole URL or a user and a password.
In the latter case the password is mounted as a file, which the programs read again for each connection, so that it can be
rotated. All templates take: dict "root" $ "login" NAME.
*/}}

{{- define "apitoken-operator.devPostgresName" -}}
{{ include "apitoken-operator.fullname" . }}-dev-postgres
{{- end }}

{{/* Fails with the name of the first missing setting. */}}
{{- define "apitoken-operator.requireLogin" -}}
{{- $database := .root.Values.database }}
{{- $login := index $database.logins .login }}
{{- if not .root.Values.devPostgres.enabled }}
{{- if and (not $login.existingSecret) (not $login.passwordFile) }}
{{- fail (printf "\n\ndatabase.logins.%s.existingSecret is empty: name the Secret with the login's username and password.\nTo try the operator out without a database: --set devPostgres.enabled=true" .login) }}
{{- end }}
{{- if and (not $login.urlKey) (not $database.host) }}
{{- fail "\n\ndatabase.host is empty: set it to the address of Postgres, or set database.logins.*.urlKey if the Secrets hold whole URLs.\nTo try the operator out without a database: --set devPostgres.enabled=true" }}
{{- end }}
{{- if and $login.passwordFile (not $login.username) (not $login.existingSecret) }}
{{- fail (printf "\n\ndatabase.logins.%s.username is empty: passwordFile without a Secret needs the name of the user." .login) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "apitoken-operator.databaseEnv" -}}
{{- include "apitoken-operator.requireLogin" . }}
{{- $database := .root.Values.database }}
{{- $login := index $database.logins .login }}
{{- if .root.Values.devPostgres.enabled }}
- name: DATABASE_URL
  value: "postgres://apitoken@{{ include "apitoken-operator.devPostgresName" .root }}:5432/apitoken?sslmode=disable"
- name: APITOKEN_DATABASE_PASSWORD_FILE
  value: "/etc/apitoken/database/{{ .login }}/password"
{{- else if $login.urlKey }}
- name: DATABASE_URL
  valueFrom:
    secretKeyRef:
      name: {{ $login.existingSecret | quote }}
      key: {{ $login.urlKey | quote }}
{{- else }}
{{- if not $login.username }}
- name: DATABASE_USER
  valueFrom:
    secretKeyRef:
      name: {{ $login.existingSecret | quote }}
      key: {{ $login.usernameKey | quote }}
{{- end }}
- name: DATABASE_URL
  value: {{ include "apitoken-operator.databaseUrl" . | quote }}
- name: APITOKEN_DATABASE_PASSWORD_FILE
  value: {{ default (printf "/etc/apitoken/database/%s/password" .login) $login.passwordFile | quote }}
{{- end }}
{{- end }}

{{/* The kubelet expands $(DATABASE_USER) from the variable that databaseEnv defines before this one. */}}
{{- define "apitoken-operator.databaseUrl" -}}
{{- $database := .root.Values.database }}
{{- $login := index $database.logins .login }}
{{- $user := $login.username | urlquery | default "$(DATABASE_USER)" }}
{{- $parameters := list (printf "sslmode=%s" $database.sslMode) }}
{{- if or $database.ca.secret $database.ca.configMap }}
{{- $parameters = append $parameters "sslrootcert=/etc/apitoken/database-ca/ca.crt" }}
{{- end }}
{{- with $database.parameters }}
{{- $parameters = append $parameters . }}
{{- end }}
{{- printf "postgres://%s@%s:%d/%s?%s" $user $database.host (int $database.port) ($database.name | urlquery) (join "&" $parameters) }}
{{- end }}

{{- define "apitoken-operator.databaseMounts" -}}
{{- $login := index .root.Values.database.logins .login }}
{{- if or .root.Values.devPostgres.enabled (not (or $login.urlKey $login.passwordFile)) }}
- name: "database-{{ .login }}"
  mountPath: "/etc/apitoken/database/{{ .login }}"
  readOnly: true
{{- end }}
{{- if and (or .root.Values.database.ca.secret .root.Values.database.ca.configMap) (not .root.Values.devPostgres.enabled) }}
- name: database-ca
  mountPath: /etc/apitoken/database-ca
  readOnly: true
{{- end }}
{{- end }}

{{- define "apitoken-operator.loginVolume" -}}
{{- $login := index .root.Values.database.logins .login }}
{{- if .root.Values.devPostgres.enabled }}
- name: "database-{{ .login }}"
  secret:
    secretName: {{ include "apitoken-operator.devPostgresName" .root | quote }}
    defaultMode: 0440
    items:
      - key: password
        path: password
{{- else if not (or $login.urlKey $login.passwordFile) }}
- name: "database-{{ .login }}"
  secret:
    secretName: {{ $login.existingSecret | quote }}
    defaultMode: 0440
    items:
      - key: {{ $login.passwordKey | quote }}
        path: password
{{- end }}
{{- end }}

{{- define "apitoken-operator.caVolume" -}}
{{- $ca := .Values.database.ca }}
{{- if and (or $ca.secret $ca.configMap) (not .Values.devPostgres.enabled) }}
- name: database-ca
  {{- if $ca.secret }}
  secret:
    secretName: {{ $ca.secret | quote }}
  {{- else }}
  configMap:
    name: {{ $ca.configMap | quote }}
  {{- end }}
    defaultMode: 0444
    items:
      - key: {{ $ca.key | quote }}
        path: ca.crt
{{- end }}
{{- end }}
