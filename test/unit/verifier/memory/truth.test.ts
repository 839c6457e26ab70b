import { expect, test } from "vitest";
import { createTruth } from "../../../../src/verifier/memory/truth.ts";

/** A truth whose time the test sets. Memory counts for 1 s without proof, and for 60 s in an outage. */
function aTruth() {
  let nowMs = 1_000_000;
  const truth = createTruth({ staleAfterMs: 1_000, outageMs: 60_000 }, () => nowMs);
  return {
    truth,
    pass: (ms: number) => {
      nowMs += ms;
    },
    prove: (agoMs = 0) => truth.prove(nowMs - agoMs),
    read: (beganAgoMs = 0) => truth.completeReading(nowMs - beganAgoMs),
  };
}

function aFreshTruth() {
  const all = aTruth();
  all.truth.beginListening();
  all.read();
  all.prove();
  return all;
}

test("nothing counts before everything was read while it listened, and then from when the reading began", () => {
  const { truth, prove, read } = aTruth();
  expect(truth.standing()).toBe("outdated");
  read(); // what was read before it listened may have changed since
  prove();
  expect(truth.standing()).toBe("outdated");
  truth.beginListening();
  prove();
  expect(truth.standing()).toBe("outdated");
  read(900);
  expect([truth.standing(), truth.ageMs]).toEqual(["fresh", 900]);
  prove();
  expect(truth.ageMs).toBe(0);
});

test("a reading that took longer than memory counts is good for an outage, until a proof comes", () => {
  const { truth, prove, read } = aTruth();
  truth.beginListening();
  read(1_500);
  expect(truth.standing()).toBe("doubtful");
  prove();
  expect(truth.standing()).toBe("fresh");
});

test("memory counts for its time after the last proof was sent, then the row, then nothing", () => {
  const { truth, pass, prove } = aFreshTruth();
  pass(1_000);
  expect(truth.standing()).toBe("fresh");
  pass(1);
  expect(truth.standing()).toBe("doubtful");
  prove(900);
  expect(truth.standing()).toBe("fresh");
  pass(101);
  expect(truth.standing()).toBe("doubtful");
  pass(58_000);
  expect(truth.standing()).toBe("doubtful");
  pass(2_000);
  expect(truth.standing()).toBe("outdated");
});

test("a lost connection ends it at once, and a new one needs a new reading", () => {
  const { truth, prove, read } = aFreshTruth();
  truth.lose();
  expect(truth.standing()).toBe("doubtful");
  prove();
  truth.beginListening();
  prove();
  expect(truth.standing()).toBe("doubtful");
  read();
  expect(truth.standing()).toBe("fresh");
});

test("a snapshot counts from its own time on, and only in an outage", () => {
  const { truth, pass } = aTruth();
  truth.restore(30_000);
  expect(truth.standing()).toBe("doubtful");
  pass(30_001);
  expect(truth.standing()).toBe("outdated");
});
