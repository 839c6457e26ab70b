import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test as base, expect } from "vitest";
import { createLogger } from "../../../../src/runtime/log.ts";
import { createKeyring } from "../../../../src/token/keyring.ts";
import { createBlockages } from "../../../../src/verifier/memory/blockages.ts";
import { createTokenMemory } from "../../../../src/verifier/memory/memory.ts";
import { createTruth } from "../../../../src/verifier/memory/truth.ts";
import { createSnapshots } from "../../../../src/verifier/snapshot/snapshots.ts";
import { aVerifiableToken, later, NOW } from "../../../support/builders.ts";

/*
 * Which snapshots count, and from when: verifiers of a machine whose time and whose start the test sets.
 */

const keyring = createKeyring();
const OUTAGE_MS = 60_000;

// biome-ignore lint/correctness/noEmptyPattern: vitest reads a fixture's dependencies from its parameter's pattern
const test = base.extend("folder", ({}, { onCleanup }) => {
  const folder = mkdtempSync(join(tmpdir(), "apitoken-snapshots-"));
  onCleanup(() => rmSync(folder, { recursive: true }));
  return folder;
});

/** A verifier that knows nothing yet. `atMs` is the time since the start of its machine. */
function aVerifier(folder: string, { startId = "this start", database = "tokens", atMs = 0 } = {}) {
  const time = { ms: atMs };
  const memory = createTokenMemory(100);
  const blockages = createBlockages();
  const truth = createTruth({ staleAfterMs: 1_000, outageMs: OUTAGE_MS }, () => time.ms);
  const log: string[] = [];
  const snapshots = createSnapshots({
    folder,
    keyring: () => keyring,
    memory,
    blockages,
    truth,
    clock: { nowMs: () => NOW.getTime(), at: () => NOW.getTime(), set: () => {}, aheadMs: 0, isSet: true },
    machine: { startId, nowMs: () => time.ms },
    database,
    outageMs: OUTAGE_MS,
    log: createLogger("verifier", "info", { write: (line) => void log.push(line) }),
  });
  return {
    memory,
    blockages,
    truth,
    snapshots,
    /** Why the snapshot was ignored; undefined if it was not. */
    refusal: () => log.map((line) => (JSON.parse(line) as { why?: string }).why).find((why) => why !== undefined),
    pass(ms: number) {
      time.ms += ms;
    },
    /** As if all rows and blocks had been read at this moment. */
    completeReading() {
      truth.beginListening();
      truth.completeReading(time.ms);
    },
  };
}

/** Leaves a snapshot of the token "a" that was true at 100 s since the machine's start. */
async function leaveSnapshot(folder: string) {
  const verifier = aVerifier(folder, { atMs: 100_000 });
  verifier.memory.beginReading().keep(aVerifiableToken("a"), NOW.getTime());
  verifier.completeReading();
  await verifier.snapshots.write();
  return verifier;
}

async function restore(...args: Parameters<typeof aVerifier>) {
  const verifier = aVerifier(...args);
  await verifier.snapshots.restore();
  return verifier;
}

test("a snapshot counts for as long as an outage may last, from when it was true", async ({ folder }) => {
  await leaveSnapshot(folder);
  const { memory, truth, pass, refusal } = await restore(folder, { atMs: 100_000 + OUTAGE_MS - 1 });
  expect([memory.ids, truth.isComplete, refusal()]).toEqual([["a"], true, undefined]);
  expect(truth.standing()).toBe("doubtful");
  pass(2);
  expect(truth.standing()).toBe("outdated");
});

test.for([
  ["is older than an outage may last", { atMs: 100_000 + OUTAGE_MS + 1 }, "it is too old"],
  ["is of the future", { atMs: 99_999 }, "it is too old"],
  [
    "is from before the machine's last start",
    { startId: "the next start", atMs: 100_001 },
    "it is from another machine, or from before this one's last start",
  ],
  ["is of another database", { database: "other", atMs: 100_001 }, "it is of another database"],
] as const)("a snapshot that %s is ignored, and the log says why", async ([, options, why], { folder }) => {
  await leaveSnapshot(folder);
  const { memory, truth, refusal } = await restore(folder, options);
  expect(refusal()).toBe(why);
  expect([memory.ids, truth.isComplete, truth.standing()]).toEqual([[], false, "outdated"]);
});

test("what was in doubt when a snapshot was written is in doubt when it is read", async ({ folder }) => {
  const before = await leaveSnapshot(folder);
  before.memory.beginReading().keep(aVerifiableToken("changed"), NOW.getTime());
  before.memory.hearChange("changed");
  before.blockages.beginReading()([{ owner: "carol", from: later(5_000) }]);
  before.blockages.hearChange("bob");
  await before.snapshots.write();
  const { memory, blockages } = await restore(folder, { atMs: 100_001 });
  expect([memory.get("a")?.isSuspect, memory.get("changed")?.isSuspect]).toEqual([false, true]);
  expect(blockages.find("carol")).toBe(later(5_000).getTime());
  expect([blockages.find("alice"), blockages.find("bob")]).toEqual([Number.POSITIVE_INFINITY, undefined]);
});

test("a snapshot that is written later counts from the last proof, too", async ({ folder }) => {
  const before = await leaveSnapshot(folder);
  before.pass(40_000);
  await before.snapshots.write();
  expect(before.snapshots.ageMs).toBe(40_000);
  const { truth } = await restore(folder, { atMs: 140_000 });
  expect(truth.ageMs).toBe(40_000);
});

test("what a verifier knows no longer does not replace the last snapshot", async ({ folder }) => {
  const before = await leaveSnapshot(folder);
  before.pass(OUTAGE_MS + 1);
  before.memory.beginReading().forget("a");
  await before.snapshots.write();
  const { memory } = await restore(folder, { atMs: 100_001 });
  expect(memory.ids).toEqual(["a"]);
});
