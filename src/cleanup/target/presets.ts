/*
 * What `preset: NAME` stands for: the targets of a well-known system, as the configuration file would write them, with what the
 * team has written beside the name. They are read and checked like those of a team's own tables.
 */
import { IdentifierError, parseColumnName } from "../../postgres/cleanup/identifiers.ts";
import { retentionSetting } from "../../runtime/config.ts";
import { findNear } from "../../runtime/text.ts";
import { PRESETS } from "./presets/all.ts";
import type { Parameter, Preset, PresetTarget } from "./presets/preset.ts";

export { PRESETS, type Preset };

/** A target as the configuration file writes it. */
export type RawTarget = Readonly<Record<string, unknown>>;

interface PresetFault {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

export interface Expansion {
  readonly targets: readonly RawTarget[];
  readonly faults: readonly PresetFault[];
}

/** The keys beside the name that each target gets as they are. */
const TAKEN_OVER = ["audit", "auditKeys", "maxFraction", "firstRunMaxFraction", "confirm"] as const;

const ALLOWED = ["preset", "schema", "with", "retention", ...TAKEN_OVER];

/** Whether an item of `targets` names a preset instead of a table. */
export function isPreset(item: unknown): item is RawTarget {
  return isObject(item) && Object.hasOwn(item, "preset");
}

function isObject(value: unknown): value is RawTarget {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The preset with this name, or why there is none. */
export function findPreset(name: unknown): Preset | string {
  const found = PRESETS.find((preset) => preset.name === name);
  if (found !== undefined) return found;
  if (typeof name !== "string") return 'must be the name of a preset; "cleanup presets" lists them';
  const names = PRESETS.map((preset) => preset.name);
  const near = findNear(name, names) ?? names.find((known) => name !== "" && known.startsWith(name.toLowerCase()));
  const guess = near === undefined ? "" : ` (did you mean ${near}?)`;
  return `${JSON.stringify(name)} is not a preset${guess}; "cleanup presets" lists them`;
}

/** The targets that an item of `targets` stands for; none if there are faults. */
export function expandPreset(item: RawTarget): Expansion {
  const preset = findPreset(item.preset);
  if (typeof preset === "string") return { targets: [], faults: [{ path: ["preset"], message: preset }] };
  const schema = item.schema ?? preset.schema;
  const values = readParameters(preset, item.with);
  const faults = [
    ...findUnknown(preset, item),
    ...findSchemaFault(schema),
    ...values.faults,
    ...findRetentionFaults(preset, item.retention),
  ];
  if (faults.length > 0) return { targets: [], faults };
  const settings = Object.fromEntries(
    TAKEN_OVER.filter((key) => item[key] !== undefined).map((key) => [key, item[key]]),
  );
  const targets = preset.targets(values.values).map((target) => ({
    ...placeInSchema(target, String(schema)),
    ...withRetention(target, item.retention),
    ...settings,
  }));
  return { targets, faults: [] };
}

function findUnknown(preset: Preset, item: RawTarget): PresetFault[] {
  return Object.keys(item)
    .filter((key) => !ALLOWED.includes(key))
    .map((key) => ({
      path: [key],
      message:
        `is not allowed beside preset; allowed are ${ALLOWED.slice(1).join(", ")}. To change more, copy what ` +
        `"cleanup presets ${preset.name}" prints`,
    }));
}

function findSchemaFault(schema: unknown): PresetFault[] {
  if (typeof schema !== "string") return [{ path: ["schema"], message: "must be a text" }];
  try {
    parseColumnName(schema);
    return [];
  } catch (error) {
    if (!(error instanceof IdentifierError)) throw error;
    return [{ path: ["schema"], message: `${JSON.stringify(schema)} is not a schema; write it as in SQL` }];
  }
}

/** The values of a preset's parameters: those of `with`, and the system's defaults. */
function readParameters(preset: Preset, given: unknown) {
  const defaults = Object.entries(preset.parameters).map(([name, parameter]) => [name, parameter.default] as const);
  const values: Record<string, string> = Object.fromEntries(defaults);
  if (given === undefined) return { values, faults: [] };
  if (!isObject(given)) return { values, faults: [{ path: ["with"], message: "must be a map, such as {idle: 14d}" }] };
  const faults: PresetFault[] = [];
  for (const [name, value] of Object.entries(given)) {
    const parameter = Object.hasOwn(preset.parameters, name) ? preset.parameters[name] : undefined;
    const message = parameter === undefined ? describeUnknownParameter(preset, name) : findFault(parameter, value);
    if (message === undefined) values[name] = String(value);
    else faults.push({ path: ["with", name], message });
  }
  return { values, faults };
}

function describeUnknownParameter({ name, parameters }: Preset, given: string): string {
  const names = Object.keys(parameters);
  if (names.length === 0) return `is not a parameter of ${name}, which has none`;
  const near = findNear(given, names);
  return `is not a parameter of ${name}${near === undefined ? "" : ` (did you mean ${near}?)`}; it has ${names.join(", ")}`;
}

function findFault({ kind }: Parameter, value: unknown): string | undefined {
  if (typeof value !== "string" || value === "") return "must be a text";
  if (kind === "duration") return retentionSetting.safeParse(value).error?.issues[0]?.message;
  if (kind === "name" && !/^[a-z_][a-z0-9_]*$/.test(value))
    return "must be a name of small letters, digits and _; for another, copy what the preset expands to";
  return undefined;
}

/** Only a retention that no target can keep is a fault; the others are checked where the targets are. */
function findRetentionFaults(preset: Preset, retention: unknown): PresetFault[] {
  if (!isObject(retention)) return [];
  const targets = preset.targets(readParameters(preset, undefined).values);
  return (["expired", "revoked"] as const)
    .filter((kind) => retention[kind] !== undefined && !targets.some((target) => keeps(target, kind)))
    .map((kind) => ({
      path: ["retention", kind],
      message: `is not possible: nothing in the tables of ${preset.name} says when a row ${kind === "expired" ? "expired" : "was revoked"}`,
    }));
}

function keeps(target: PresetTarget, kind: "expired" | "revoked"): boolean {
  return (kind === "expired" ? target.expiresAt : target.revokedAt) !== undefined;
}

function placeInSchema(
  { table, part, cascade, retention: _retention, ...target }: PresetTarget,
  schema: string,
): RawTarget {
  const name = `${schema}.${table}`;
  return {
    table: name,
    ...(part === undefined ? {} : { name: `${name}, ${part}` }),
    ...target,
    ...(cascade === undefined ? {} : { cascade: cascade.map((reached) => `${schema}.${reached}`) }),
  };
}

/** The preset's retention and the team's, which comes first. */
function withRetention(target: PresetTarget, given: unknown): RawTarget {
  if (given !== undefined && !isObject(given)) return { retention: given };
  const taken = Object.entries(given ?? {}).filter(
    ([kind]) => (kind !== "expired" && kind !== "revoked") || keeps(target, kind),
  );
  const retention = { ...target.retention, ...Object.fromEntries(taken) };
  return Object.keys(retention).length === 0 ? {} : { retention };
}
