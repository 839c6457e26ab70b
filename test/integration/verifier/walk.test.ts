/*
 * Random changes of tokens and random faults, with two verifiers whose clocks are an hour early and an hour late. All the time both
 * are asked about all tokens, dead ones too, and an oracle judges every answer.
 */
import { randomInt } from "node:crypto";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { createRandom } from "../../support/random-walk/random.ts";
import { DISTURBANCES } from "../../support/verifier-walk/disturbances.ts";
import { OPERATIONS, type Operation } from "../../support/verifier-walk/operations.ts";
import type { Observation } from "../../support/verifier-walk/oracle.ts";
import { createVerifierWorld, type VerifierWorld } from "../../support/verifier-walk/world.ts";

const DISTURBANCES_PER_WALK = 6;
const OPERATIONS_BETWEEN = 12;

/** VERIFIER_WALK_SEED repeats one walk, as far as the timing allows; VERIFIER_WALK_COUNT takes that many new ones. */
const { VERIFIER_WALK_SEED: seedToRepeat, VERIFIER_WALK_COUNT: count = "1" } = process.env;
const seeds =
  seedToRepeat === undefined ? Array.from({ length: Number(count) }, () => randomInt(2 ** 31)) : [Number(seedToRepeat)];

test.for(seeds)(
  "no token that is dead is accepted, and none that lives refused, beyond what is promised (VERIFIER_WALK_SEED=%i)",
  { timeout: 600_000 },
  async (seed) => {
    const world = await createVerifierWorld(createRandom(seed));
    const log: string[] = [];
    const counts = new Map<number, number>();
    try {
      await world.settle();
      for (let step = 0; step < DISTURBANCES_PER_WALK; step += 1) {
        for (let number = 0; number < OPERATIONS_BETWEEN; number += 1) log.push(await pickWeighted(world)(world));
        await world.settle();
        log.push(await world.random.pick(DISTURBANCES)(world));
        judge(world, counts, log);
        await world.settle();
        log.push("(all as it should be)");
      }
    } catch (error) {
      const ends = world.verifiers.map(({ name, logPath }) => `${name}: ${lastLines(logPath)}`);
      throw new Error(`failed after:\n${log.join("\n")}\n${ends.join("\n")}`, { cause: error });
    } finally {
      await world.close();
    }
    judge(world, counts, log);
    for (const status of [200, 401]) expect(counts.get(status), `answers ${status}`).toBeGreaterThan(10);
  },
);

function pickWeighted({ random }: VerifierWorld): Operation {
  const drawn = OPERATIONS.flatMap(([weight, operation]) => Array<Operation>(weight).fill(operation));
  return random.pick(drawn);
}

/** Throws an Error that describes the first answer that was wrong. */
function judge({ oracle, takeObservations }: VerifierWorld, counts: Map<number, number>, log: readonly string[]): void {
  for (const observation of takeObservations()) {
    const { status } = observation;
    counts.set(status, (counts.get(status) ?? 0) + 1);
    const fault = oracle.findFault(observation);
    if (fault !== undefined)
      throw new Error(`${describe(observation)}: ${fault}; the last operation was ${log.at(-1)}`);
  }
}

function describe({ verifier, token, askedAtMs, answeredAtMs, status }: Observation): string {
  const [from, until] = [askedAtMs, answeredAtMs].map((ms) => new Date(ms).toISOString());
  const rows = token.row.within(askedAtMs - 20_000, answeredAtMs).map(({ value, fromMs, untilMs }) => {
    const end = value === undefined ? "deleted" : `accepted until ${new Date(value.acceptedUntilMs).toISOString()}`;
    return `${end} (${Math.round(fromMs - askedAtMs)} to ${Math.round(untilMs - askedAtMs)} ms from the question)`;
  });
  return `${verifier} answered ${status} about ${token.id} of ${token.owner} from ${from} to ${until}; ${rows.join("; ")}`;
}

const lastLines = (path: string) => readFileSync(path, "utf8").split("\n").slice(-15).join("\n");
