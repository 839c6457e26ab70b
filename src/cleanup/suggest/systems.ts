/*
 * Recognises the tables of well-known systems, for which there is a preset that knows more than any guess.
 */
import type { CandidateTable } from "../../postgres/cleanup/candidates.ts";
import { formatTableName, quoteIdentifier } from "../../postgres/cleanup/identifiers.ts";
import { configFileSchema, type TargetConfig } from "../target/config.ts";
import { PRESETS, type Preset } from "../target/presets.ts";
import type { Suggestion } from "./format.ts";
import { findRole } from "./names.ts";
import { SIGNATURES } from "./signatures.ts";

interface Recognised {
  readonly preset: Preset;
  readonly schema: string;
  readonly tables: readonly string[];
  /** The columns by which each table is known. */
  readonly columns: ReadonlyMap<string, readonly string[]>;
  /** Columns that look like an expiry and that the preset leaves out, as "app.sessions has expires_at". */
  readonly ignored: readonly string[];
}

/** The names of all tables that presets are about, without a schema. */
export function listPresetTables(): string[] {
  return [...new Set(PRESETS.flatMap((preset) => expand(preset, preset.schema).map(({ table }) => table.table)))];
}

/** Suggestions for the systems of which all tables and columns are there; of several that share a table, that with the most. */
export function recogniseSystems(candidates: readonly CandidateTable[]): Suggestion[] {
  const schemas = [...new Set(candidates.map(({ schema }) => schema))];
  const found = schemas
    .flatMap((schema) => PRESETS.flatMap((preset) => recognise(preset, schema, candidates)))
    .sort((left, right) => right.tables.length - left.tables.length || countColumns(right) - countColumns(left));
  const taken = new Map<string, Preset>();
  return found.flatMap((recognised) => {
    if (recognised.tables.some((table) => taken.has(table))) return [];
    for (const table of recognised.tables) taken.set(table, recognised.preset);
    const rivals = found.filter(
      (other) => other !== recognised && other.tables.some((table) => recognised.tables.includes(table)),
    );
    return [describe(recognised, rivals)];
  });
}

function recognise(preset: Preset, schema: string, candidates: readonly CandidateTable[]): Recognised[] {
  const targets = expand(preset, schema);
  const columnsOf = (table: string) =>
    candidates.find((candidate) => formatTableName(candidate) === table)?.columns ?? [];
  const columns = new Map<string, readonly string[]>();
  for (const target of targets) {
    const table = formatTableName(target.table);
    const signature = columns.get(table) ?? SIGNATURES[preset.name]?.[target.table.table] ?? [];
    columns.set(table, [...new Set([...signature, ...findColumns(target)])]);
  }
  const isThere = [...columns].every(([table, known]) => {
    const names = new Set(columnsOf(table).map(({ name }) => name));
    return known.every((column) => names.has(column));
  });
  if (!isThere) return [];
  const tables = [...columns.keys()];
  const ignored = tables.flatMap((table) => {
    const used = targets.filter((target) => formatTableName(target.table) === table).flatMap(findColumns);
    const known = new Set([...used, ...(preset.noExpiries ?? [])]);
    return columnsOf(table)
      .filter((column) => findRole(column) === "expiry" && !known.has(column.name))
      .map(({ name }) => `${table} has ${name}`);
  });
  return [{ preset, schema, tables, columns, ignored }];
}

const countColumns = ({ columns }: Recognised) => [...columns.values()].flat().length;

function expand({ name }: Preset, schema: string): readonly TargetConfig[] {
  return configFileSchema.parse({ targets: [{ preset: name, schema: formatSchema(schema) }] }).targets;
}

const formatSchema = (schema: string) => (/^[a-z_][a-z0-9_$]*$/.test(schema) ? schema : quoteIdentifier(schema));

function findColumns({ expiresAt = [], revokedAt = [], where, revoked = [], owner }: TargetConfig): string[] {
  return [
    ...[...expiresAt, ...revokedAt].flatMap(({ column, plusSeconds }) =>
      plusSeconds === undefined ? [column] : [column, plusSeconds],
    ),
    ...[...where, ...revoked].map(({ column }) => column),
    ...(owner === undefined ? [] : [owner]),
  ];
}

function describe({ preset, schema, tables, columns, ignored }: Recognised, rivals: readonly Recognised[]): Suggestion {
  const parameters = Object.entries(preset.parameters).map(
    ([name, parameter]) => `with: {${name}: …}: ${parameter.help}; without it, ${parameter.default}`,
  );
  return {
    tables,
    target: { preset: preset.name, ...(schema === preset.schema ? {} : { schema: formatSchema(schema) }) },
    reasons: [...columns].map(
      ([table, names]) => `${table} has ${names.join(", ")}, as in ${preset.system} ${preset.versions}`,
    ),
    checks: [
      `is this ${preset.system}? "cleanup presets ${preset.name}" shows what the preset stands for`,
      ...rivals.map((rival) => `the tables look like ${rival.preset.system} (preset: ${rival.preset.name}), too`),
      ...(preset.note === undefined ? [] : [preset.note]),
      ...parameters,
    ],
    // A name such as sessions and a column such as updated_at are those of many applications.
    doubts: ignored.map((column) => `${column}, which looks like an expiry and which this preset ignores`),
  };
}
