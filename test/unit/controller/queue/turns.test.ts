import fc from "fast-check";
import { expect, test } from "vitest";
import { createTurns } from "../../../../src/controller/queue/turns.ts";

const groupOf = (key: string) => key[0] ?? "";

test("groups take turns, and within a group the first comes first", () => {
  const turns = createTurns(groupOf);
  for (const key of ["a1", "a2", "a3", "b1", "a4", "c1", "b2"]) turns.add(key);
  const order = Array.from({ length: 8 }, () => turns.take());
  expect(order).toEqual(["a1", "b1", "c1", "a2", "b2", "a3", "a4", undefined]);
});

test("a group that adds keys in its turn does not get another one before the others", () => {
  const turns = createTurns(groupOf);
  for (const key of ["a1", "b1", "c1"]) turns.add(key);
  expect(turns.take()).toBe("a1");
  turns.add("a2");
  expect([turns.take(), turns.take(), turns.take()]).toEqual(["b1", "c1", "a2"]);
});

test("whatever is added, taken and removed: nothing is lost or twice, and no group waits longer than one round", () => {
  const anyKey = fc.tuple(fc.constantFrom("a", "b", "c", "d"), fc.nat(9)).map(([group, number]) => `${group}${number}`);
  const anyStep = fc.oneof(
    fc.record({ add: anyKey }),
    fc.record({ add: anyKey }),
    fc.record({ remove: anyKey }),
    fc.constant("take" as const),
    fc.constant("take" as const),
  );
  fc.assert(
    fc.property(fc.array(anyStep, { maxLength: 200 }), (steps) => {
      const turns = createTurns(groupOf);
      const waiting = new Set<string>();
      /** How many turns of others each group has seen since it began to wait. */
      const seen = new Map<string, number>();
      for (const step of steps) {
        if (step === "take") {
          const key = turns.take();
          if (waiting.size === 0) expect(key).toBeUndefined();
          else expect(waiting.delete(key ?? "")).toBe(true);
          for (const group of seen.keys()) seen.set(group, (seen.get(group) ?? 0) + 1);
          if (key !== undefined) seen.delete(groupOf(key));
        } else if ("add" in step) {
          turns.add(step.add);
          waiting.add(step.add);
        } else {
          expect(turns.remove(step.remove)).toBe(waiting.delete(step.remove));
        }
        const groups = new Set([...waiting].map(groupOf));
        for (const group of groups) seen.set(group, seen.get(group) ?? 0);
        for (const group of [...seen.keys()]) if (!groups.has(group)) seen.delete(group);
        expect(Math.max(0, ...seen.values())).toBeLessThan(4);
        expect(turns.size).toBe(waiting.size);
        for (const key of ["a1", "b2"]) expect(turns.has(key)).toBe(waiting.has(key));
      }
    }),
  );
});
