import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createOwnerGate, type OwnerGate } from "../../../../src/controller/pass/owner-gate.ts";

class StuckError extends Error {}

let ending: AbortController;
let retried: string[];
let gate: OwnerGate;
beforeEach(() => {
  vi.useFakeTimers();
  ending = new AbortController();
  retried = [];
  gate = createOwnerGate({
    isStuck: (error) => error instanceof StuckError,
    retry: (key) => retried.push(key),
    signal: ending.signal,
  });
});
afterEach(() => {
  ending.abort();
  vi.useRealTimers();
});

/** Statements that run until they are settled, in the order in which they began. */
function someStatements() {
  const begun: string[] = [];
  const settlers = new Map<string, PromiseWithResolvers<string>>();
  return {
    begun,
    /** Runs the statement of a key through the gate; the result is "ok" or the error. */
    run(owner: string, key: string): Promise<unknown> {
      const settler = Promise.withResolvers<string>();
      settlers.set(key, settler);
      return gate
        .run(owner, key, () => {
          begun.push(key);
          return settler.promise;
        })
        .catch((error: unknown) => error);
    },
    finish: (key: string) => settlers.get(key)?.resolve("ok"),
    fail: (key: string, error: Error) => settlers.get(key)?.reject(error),
  };
}

const settle = () => vi.advanceTimersByTimeAsync(0);

describe("the statements of one owner", () => {
  test("run two at a time, in the order in which they came", async () => {
    const { begun, run, finish } = someStatements();
    const results = ["a", "b", "c", "d"].map((key) => run("alice", key));
    await settle();
    expect(begun).toEqual(["a", "b"]);
    finish("b");
    await settle();
    expect(begun).toEqual(["a", "b", "c"]);
    for (const key of ["a", "c", "d"]) finish(key);
    expect(await Promise.all(results)).toEqual(["ok", "ok", "ok", "ok"]);
    expect(begun).toEqual(["a", "b", "c", "d"]);
  });

  test("do not wait for those of another", async () => {
    const { begun, run, finish } = someStatements();
    for (const key of ["a", "b", "c"]) void run("alice", key);
    const other = run("bob", "x");
    await settle();
    expect(begun).toEqual(["a", "b", "x"]);
    finish("x");
    expect(await other).toBe("ok");
  });

  test("are not stopped by the failure of one that says nothing about the owner", async () => {
    const { begun, run, fail, finish } = someStatements();
    const [first, , third] = ["a", "b", "c"].map((key) => run("alice", key));
    fail("a", new Error("blocked"));
    expect(await first).toEqual(new Error("blocked"));
    expect(begun).toEqual(["a", "b", "c"]);
    finish("c");
    expect(await third).toBe("ok");
    expect(retried).toEqual([]);
  });
});

describe("once an owner is stuck", () => {
  const stuck = new StuckError("held by process 7");

  /** Lets the statements of a and b run into the lock while c waits for its turn. */
  async function getStuck() {
    const statements = someStatements();
    const results = ["a", "b", "c"].map((key) => statements.run("alice", key));
    await settle();
    statements.fail("a", stuck);
    statements.fail("b", stuck);
    expect(await Promise.all(results)).toEqual([stuck, stuck, stuck]);
    return statements;
  }

  test("those that wait and those that come fail at once, and tell why", async () => {
    const { begun, run } = await getStuck();
    expect(await run("alice", "d")).toBe(stuck);
    expect(begun).toEqual(["a", "b"]);
  });

  test("one at a time is asked to try again, less and less often", async () => {
    const { begun, run, fail } = await getStuck();
    let pauses = 0;
    const attempt = async (times: number) => {
      const before = retried.length;
      while (retried.length === before) {
        await vi.advanceTimersByTimeAsync(50);
        pauses += 50;
      }
      const key = retried.at(-1) ?? "";
      const result = run("alice", key);
      const other = run("alice", `other-${times}`);
      await settle();
      expect(begun.at(-1)).toBe(key);
      expect(await other).toBe(stuck);
      fail(key, stuck);
      expect(await result).toBe(stuck);
    };
    for (let times = 0; times < 10; times += 1) await attempt(times);
    expect(begun).toHaveLength(12);
    expect(pauses).toBeGreaterThanOrEqual(7 * 2_000);
    expect(pauses).toBeLessThanOrEqual(10 * 2_050);
  });

  test("all that failed are asked to try again as soon as one has succeeded", async () => {
    const { run, finish } = await getStuck();
    await run("alice", "d");
    await vi.advanceTimersByTimeAsync(500);
    const [first = ""] = retried;
    const result = run("alice", first);
    finish(first);
    expect(await result).toBe("ok");
    expect([...retried].sort()).toEqual(["a", "b", "c", "d"]);
    const next = run("alice", "e");
    finish("e");
    expect(await next).toBe("ok");
  });

  test("a failure for another reason shows that the lock is free", async () => {
    const { run, fail } = await getStuck();
    await vi.advanceTimersByTimeAsync(500);
    const result = run("alice", "a");
    fail("a", new Error("blocked"));
    expect(await result).toEqual(new Error("blocked"));
    expect([...retried].sort()).toEqual(["a", "b", "c"]);
  });

  test("the others are asked in turn if those before have nothing left to do, and then it is forgotten", async () => {
    const { begun, run, finish } = await getStuck();
    await vi.advanceTimersByTimeAsync(5_000);
    expect([...retried].sort()).toEqual(["a", "b", "c"]);
    expect(vi.getTimerCount()).toBe(0);
    const results = ["d", "e"].map((key) => run("alice", key));
    await settle();
    expect(begun.slice(2)).toEqual(["d", "e"]);
    for (const key of ["d", "e"]) finish(key);
    expect(await Promise.all(results)).toEqual(["ok", "ok"]);
  });

  test("nothing is asked to try again after the end", async () => {
    await getStuck();
    ending.abort();
    await vi.advanceTimersByTimeAsync(5_000);
    expect(retried).toEqual([]);
  });
});
