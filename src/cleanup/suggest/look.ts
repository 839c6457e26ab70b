/*
 * Looks at the tables that look like tokens or sessions, one after the other and for a limited time, and checks what it proposes like
 * any other target, so that the proposal is one that a run would accept.
 */
import { type CandidateTable, findCandidates, sampleValues } from "../../postgres/cleanup/candidates.ts";
import { readTableFacts } from "../../postgres/cleanup/catalog.ts";
import { formatTableName } from "../../postgres/cleanup/identifiers.ts";
import { findCascaded } from "../../postgres/cleanup/references.ts";
import type { Queryable } from "../../postgres/database.ts";
import type { CleanupConfig } from "../config.ts";
import { configFileSchema } from "../target/config.ts";
import { checkTargets, findErrors } from "../target/targets.ts";
import type { Suggestion, Suggestions } from "./format.ts";
import { findExpiryColumn, findSampledColumns, isPromising, type Proposal, propose } from "./propose.ts";
import type { RawTarget } from "./rules.ts";
import { listPresetTables, recogniseSystems } from "./systems.ts";

export interface LookContext {
  /** In the role; everything is checked here. */
  readonly session: Queryable;
  /** With the login's own rights, for values of tables that the role may not read yet. */
  readonly asLogin: Queryable;
  readonly config: CleanupConfig;
  /** No further table is looked at after this, by performance.now(). */
  readonly deadlineMs: number;
  readonly stop: AbortSignal;
  readonly onTable: (table: string) => void;
}

/** Proposes targets for what the catalog has. */
export async function lookAround(context: LookContext): Promise<Suggestions> {
  const candidates = await findCandidates(context.session, listPresetTables());
  const systems = recogniseSystems(candidates);
  // A preset that is not ready does not keep its tables from being proposed as what they look like.
  const known = new Set(systems.filter(({ doubts }) => doubts.length === 0).flatMap(({ tables }) => tables));
  const others = candidates.filter((table) => !known.has(formatTableName(table)));
  const promising = others.filter(isPromising);
  const proposals: Proposal[] = [];
  for (const table of promising) {
    context.stop.throwIfAborted();
    if (performance.now() > context.deadlineMs) break;
    context.onTable(formatTableName(table));
    proposals.push(await lookAt(context, table));
  }
  const suggestions: Suggestion[] = [];
  for (const system of systems) suggestions.push(await checkSystem(context, system));
  const ready = proposals.filter(({ doubts }) => doubts.length === 0).map(({ table }) => table);
  const tables = new Set([...known, ...ready]);
  for (const proposal of proposals) {
    context.stop.throwIfAborted();
    suggestions.push(await check(context, proposal, tables));
  }
  return {
    suggestions,
    others: others
      .filter((table) => !isPromising(table))
      .flatMap((table) => {
        const column = findExpiryColumn(table);
        return column === undefined ? [] : [`${formatTableName(table)} (${column})`];
      }),
    notLookedAt: promising.slice(proposals.length).map(formatTableName),
  };
}

async function lookAt({ session, asLogin }: LookContext, table: CandidateTable): Promise<Proposal> {
  const columns = findSampledColumns(table).map(({ name }) => name);
  return propose(table, await sampleValues(table.mayRead ? session : asLogin, table, columns), Date.now());
}

/** Adds what the database has against the targets of a preset. */
async function checkSystem({ session, config }: LookContext, system: Suggestion): Promise<Suggestion> {
  const { targets } = configFileSchema.parse({ targets: [system.target] });
  const names = new Set(targets.map(({ name }) => name));
  const checked = (await checkTargets(session, { ...config, targets })).filter(({ name }) => names.has(name));
  return { ...system, doubts: [...new Set([...system.doubts, ...checked.flatMap(findErrors)])] };
}

/** Adds what the database has against a proposal, and the cascades that it would need. */
async function check(
  { session, config }: LookContext,
  { table, target, reasons, checks, doubts }: Proposal,
  proposed: ReadonlySet<string>,
): Promise<Suggestion> {
  const named = await nameCascades(session, target, proposed);
  const { targets } = configFileSchema.parse({ targets: [named.target] });
  const checked = (await checkTargets(session, { ...config, targets })).filter(({ name }) => name === table);
  return {
    tables: [table],
    target: named.target,
    reasons,
    checks: [...checks, ...named.checks],
    doubts: [...new Set([...doubts, ...named.doubts, ...checked.flatMap(findErrors)])],
  };
}

interface Named {
  readonly target: RawTarget;
  readonly checks: readonly string[];
  readonly doubts: readonly string[];
}

/** Rows of other kinds should not go because of a proposal that nobody has read closely. */
async function nameCascades(session: Queryable, target: RawTarget, proposed: ReadonlySet<string>): Promise<Named> {
  const [config] = configFileSchema.parse({ targets: [target] }).targets;
  const facts = config && (await readTableFacts(session, config.table));
  const cascade = facts === undefined ? [] : findCascaded(facts).map(formatTableName);
  if (cascade.length === 0) return { target, checks: [], doubts: [] };
  const strange = cascade.filter((reached) => !proposed.has(reached));
  return {
    target: { ...target, cascade },
    checks: [`cascade: rows of ${cascade.join(", ")} go with those of this table`],
    doubts: strange.map(
      (reached) => `rows of ${reached} would go, too, and it does not look like tokens or sessions: may they?`,
    ),
  };
}
