/*
 * What a preset is: the targets of a well-known system, ready to be used, so that no team has to work out from its sources in
 * which unit it counts and what its zeros mean.
 */

/** A time as the configuration file writes it. */
export type PresetTime =
  | string
  | { readonly column: string; readonly plus: string }
  | { readonly column: string; readonly plusSeconds: string };

/** A target as the configuration file writes it, but without the schema: `table` and `cascade` are names within it. */
export interface PresetTarget {
  readonly table: string;
  /** Which part of the table it is, where a table has several targets: the target's name is made from both. */
  readonly part?: string;
  readonly where?: string;
  readonly expiresAt?: PresetTime | readonly PresetTime[];
  readonly revokedAt?: PresetTime | readonly PresetTime[];
  readonly revoked?: string;
  readonly timezone?: string;
  readonly epoch?: "seconds" | "milliseconds" | "microseconds";
  readonly retention?: { readonly expired?: string; readonly revoked?: string };
  readonly owner?: string;
  readonly cascade?: readonly string[];
}

/** What a team may have chosen otherwise in the system's own configuration. */
export interface Parameter {
  readonly kind: "duration" | "timezone" | "name";
  /** The system's default. */
  readonly default: string;
  /** For the list: no capital, no full stop. */
  readonly help: string;
}

export interface Preset {
  readonly name: string;
  readonly system: string;
  /** The versions whose sources have these tables. */
  readonly versions: string;
  /** Where the facts are from. */
  readonly sources: readonly string[];
  /** The schema in which the system creates its tables, unless somebody configures another one. */
  readonly schema: string;
  /** What a team should know before it uses the preset, in sentences. */
  readonly note?: string;
  /** Columns that look like an expiry and do not decide about a row. */
  readonly noExpiries?: readonly string[];
  readonly parameters: Readonly<Record<string, Parameter>>;
  readonly targets: (parameters: Readonly<Record<string, string>>) => readonly PresetTarget[];
}

/** Declares a preset; `targets` receives its parameters by their names. */
export function definePreset<const Name extends string = never>(
  preset: Omit<Preset, "parameters" | "targets"> & {
    readonly parameters?: Readonly<Record<Name, Parameter>>;
    readonly targets: (parameters: Readonly<Record<Name, string>>) => readonly PresetTarget[];
  },
): Preset {
  return { parameters: {}, ...preset } as Preset;
}

/** The time zone of columns that have none, where it is the application's. */
export function timezoneParameter(whose: string): Parameter {
  return { kind: "timezone", default: "UTC", help: whose };
}
