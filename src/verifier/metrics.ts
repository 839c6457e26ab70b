/*
 * Every metric of the verifier, with its name and help text. What is counted in the hot path is counted in plain numbers, and
 * handed to the registry when it is scraped.
 */
import { Counter, collectDefaultMetrics, Histogram, Registry } from "prom-client";
import { registerLevel } from "../runtime/levels.ts";
import type { AnomalyKind } from "../token/anomalies.ts";
import { ANOMALY_KINDS } from "../token/reasons.ts";
import { FAILURE_REASONS, RATE_LIMITED } from "../token/verdict.ts";
import type { Face } from "./parts.ts";

/** What the gauges show at the moment of a scrape. */
export interface VerifierLevels {
  readonly tokens: () => number;
  /** Since when memory has not been proved, in seconds. */
  readonly memoryAgeSeconds: () => number;
  readonly isFresh: () => boolean;
  readonly isDatabaseAvailable: () => boolean;
  readonly clockAheadSeconds: () => number;
  readonly isKeyringReadable: () => boolean;
  readonly clientsOverLimit: () => number;
  readonly usesNotCounted: () => number;
  readonly snapshotAgeSeconds: () => number;
}

/** The verifier's metrics. Labels have few values: nothing is labelled by token, owner or address. */
export interface VerifierMetrics {
  readonly registry: Registry;
  /** Counts an answer; `result` is yes, none, faulty, unknown, or the reason of a refusal. */
  countAnswer(face: Face, result: string): void;
  countSource(source: "memory" | "row" | "outage"): void;
  countStatement(): void;
  countMissedChange(): void;
  countBreakGlass(): void;
  countAnomaly(kind: AnomalyKind): void;
  /** Takes how long an answer took, in seconds; of a sample of the answers. */
  timeAnswer(seconds: number): void;
}

/** The answers of a face: those that are most, and the others by their result. */
interface FaceCounts {
  yes: number;
  readonly others: Map<string, number>;
}

/** Each verifier has a registry of its own, because tests run several in one process. */
export function createVerifierMetrics(levels: VerifierLevels): VerifierMetrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const answers = new Map<string, FaceCounts>();
  const sources = { memory: 0, row: 0, outage: 0 };
  let statements = 0;

  new Counter({
    name: "apitoken_verifier_answers_total",
    help: "Answers, by face (verify, introspect, ...) and result: yes, unknown, or why the token was refused.",
    labelNames: ["face", "result"],
    registers,
    collect() {
      this.reset();
      for (const [face, { yes, others }] of answers) {
        this.inc({ face, result: "yes" }, yes);
        for (const [result, count] of others) this.inc({ face, result }, count);
      }
    },
  });
  new Counter({
    name: "apitoken_verifier_sources_total",
    help: "Where answers came from: memory, the row, or memory while the database did not answer (outage).",
    labelNames: ["source"],
    registers,
    collect() {
      this.reset();
      for (const [source, count] of Object.entries(sources)) this.inc({ source }, count);
    },
  });
  new Counter({
    name: "apitoken_verifier_lookup_statements_total",
    help: "Statements that asked the database about tokens.",
    registers,
    collect() {
      this.reset();
      this.inc(statements);
    },
  });
  const missedChanges = new Counter({
    name: "apitoken_verifier_missed_changes_total",
    help: "Tokens whose rows had changed although nothing was heard of it; one answer in a hundred is checked.",
    registers,
  });
  const breakGlassUses = new Counter({
    name: "apitoken_verifier_break_glass_uses_total",
    help: "Uses of tokens that work without the database.",
    registers,
  });
  new Counter({
    name: "apitoken_verifier_uses_not_counted_total",
    help: "Uses that are missing in the counts of each day, because too many tokens waited to be reported.",
    registers,
    collect() {
      this.reset();
      this.inc(levels.usesNotCounted());
    },
  });
  const anomalies = new Counter({
    name: "apitoken_verifier_anomalies_total",
    help: "Unusual uses of tokens, by kind.",
    labelNames: ["kind"],
    registers,
  });
  for (const kind of ANOMALY_KINDS) anomalies.inc({ kind }, 0);
  const answerSeconds = new Histogram({
    name: "apitoken_verifier_answer_seconds",
    help: "How long answers took, from the request to the sent answer; of one request in 16.",
    buckets: [0.0005, 0.001, 0.0025, 0.01, 0.05, 0.15, 0.5],
    registers,
  });
  const gauge = (name: string, help: string, read: () => number) => registerLevel(registry, name, help, read);
  gauge("apitoken_verifier_tokens", "Tokens in memory.", levels.tokens);
  gauge("apitoken_verifier_memory_age_seconds", "How old what is in memory may be.", levels.memoryAgeSeconds);
  gauge("apitoken_verifier_fresh", "1 while answers come from memory.", () => Number(levels.isFresh()));
  gauge("apitoken_verifier_database_available", "1 while the database answers.", () =>
    Number(levels.isDatabaseAvailable()),
  );
  gauge(
    "apitoken_verifier_clock_ahead_seconds",
    "How far the database's clock is ahead of this pod's.",
    levels.clockAheadSeconds,
  );
  gauge("apitoken_verifier_keyring_readable", "1 while the keyring's file can be read.", () =>
    Number(levels.isKeyringReadable()),
  );

  gauge(
    "apitoken_verifier_clients_over_limit",
    "Clients that have shown too many tokens that are none within a minute.",
    levels.clientsOverLimit,
  );
  gauge(
    "apitoken_verifier_snapshot_age_seconds",
    "How old the last snapshot of the tokens in memory is: +Inf if there is none.",
    levels.snapshotAgeSeconds,
  );
  // Starts the series at 0, so that Prometheus sees the first refusal as an increase.
  const expected = ["unknown", ...FAILURE_REASONS, RATE_LIMITED];
  answers.set("verify", { yes: 0, others: new Map(expected.map((result) => [result, 0])) });

  return {
    registry,
    countAnswer(face, result) {
      let counts = answers.get(face);
      if (counts === undefined) {
        counts = { yes: 0, others: new Map() };
        answers.set(face, counts);
      }
      if (result === "yes") counts.yes += 1;
      else counts.others.set(result, (counts.others.get(result) ?? 0) + 1);
    },
    countSource(source) {
      sources[source] += 1;
    },
    countStatement() {
      statements += 1;
    },
    countMissedChange: () => missedChanges.inc(),
    countBreakGlass: () => breakGlassUses.inc(),
    countAnomaly: (kind) => anomalies.inc({ kind }),
    timeAnswer: (seconds) => answerSeconds.observe(seconds),
  };
}
