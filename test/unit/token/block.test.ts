import { describe, expect, test } from "vitest";
import {
  type CountedWork,
  type DesiredBlock,
  describeBlock,
  describeBlockChange,
  describeProblem,
  describeUnreadable,
  isErased,
  isUnfinished,
  mustCountEvents,
  mustEraseNow,
  type OwnerBlockStatus,
} from "../../../src/token/block.ts";
import { describeBlockFailure } from "../../../src/token/block-failure.ts";
import { BLOCK_REASONS } from "../../../src/token/block-reasons.ts";
import { isOwner } from "../../../src/token/owner.ts";
import { buildConditions } from "../../../src/token/status.ts";
import { HOUR_MS, NOW } from "../../support/builders.ts";

const aBlock = (overrides: Partial<DesiredBlock> = {}): DesiredBlock => ({
  owner: "mallory",
  reason: "",
  effectiveAt: new Date(NOW.getTime() - HOUR_MS),
  mustErase: false,
  ...overrides,
});

const aWork = (overrides: Partial<CountedWork> = {}): CountedWork => ({
  kind: "counted",
  now: NOW,
  apiTokens: 1,
  acceptedTokens: 0,
  tokenRows: 0,
  namedEvents: 0,
  tokensRevoked: 0,
  hasErased: false,
  ...overrides,
});

const LATER = { effectiveAt: new Date(NOW.getTime() + HOUR_MS) };
const ERASE = { mustErase: true };

const summarize = (block: Partial<DesiredBlock>, work: Partial<CountedWork>) =>
  describeBlock(aBlock(block), aWork(work)).map(({ type, status, reason }) => `${type} ${status} ${reason}`);

test.each<[string, Partial<DesiredBlock>, Partial<CountedWork>, string[]]>([
  ["before its time", LATER, { acceptedTokens: 2 }, ["Effective False Pending"]],
  ["before its time, with erase", { ...LATER, ...ERASE }, {}, ["Effective False Pending", "Erased False Pending"]],
  ["with accepted tokens", {}, { acceptedTokens: 2 }, ["Effective False InProgress", "Reconciling True InProgress"]],
  [
    "with accepted tokens, to be erased again",
    ERASE,
    { acceptedTokens: 2, hasErased: true },
    ["Effective False InProgress", "Erased False Pending", "Reconciling True InProgress"],
  ],
  ["with none", {}, {}, ["Effective True Blocked"]],
  ["of an owner with dead rows only", {}, { apiTokens: 0, tokenRows: 1 }, ["Effective True Blocked"]],
  ["of an owner that only the trail knows", {}, { apiTokens: 0, namedEvents: 1 }, ["Effective True Blocked"]],
  ["whose tokens were cleaned up", {}, { apiTokens: 0, tokensRevoked: 3 }, ["Effective True Blocked"]],
  ["that matches nothing", {}, { apiTokens: 0 }, ["Effective True NothingMatched"]],
  [
    "with rows to erase",
    ERASE,
    { tokenRows: 4 },
    ["Effective True Blocked", "Erased False InProgress", "Reconciling True InProgress"],
  ],
  [
    "with events to erase",
    ERASE,
    { namedEvents: 4 },
    ["Effective True Blocked", "Erased False InProgress", "Reconciling True InProgress"],
  ],
  [
    "not recorded as erased",
    ERASE,
    {},
    ["Effective True Blocked", "Erased False InProgress", "Reconciling True InProgress"],
  ],
  ["that has erased", ERASE, { hasErased: true, apiTokens: 0 }, ["Effective True Blocked", "Erased True Erased"]],
  [
    "whose events are not counted",
    ERASE,
    { namedEvents: undefined },
    ["Effective True Blocked", "Erased False InProgress", "Reconciling True InProgress"],
  ],
  [
    "of somebody unknown whose events are not counted",
    {},
    { apiTokens: 0, namedEvents: undefined },
    ["Effective True Blocked"],
  ],
  [
    "that has erased, after which something names the owner again",
    ERASE,
    { hasErased: true, namedEvents: 1 },
    ["Effective True Blocked", "Erased False InProgress", "Reconciling True InProgress"],
  ],
  [
    "that has erased and no longer asks for it",
    {},
    { hasErased: true },
    ["Effective True Blocked", "Erased True Erased"],
  ],
])("a block %s", (_, block, work, conditions) => {
  expect(summarize(block, work)).toEqual(conditions);
});

test("a message counts what has ended, and names an owner that matches nothing", () => {
  const [progress] = describeBlock(aBlock(), aWork({ acceptedTokens: 160_000, tokensRevoked: 40_000 }));
  expect(progress?.message).toContain("Ended 40,000 of 200,000 tokens");
  const [typo] = describeBlock(aBlock({ owner: "malory" }), aWork({ apiTokens: 0 }));
  expect(typo?.message).toContain('"malory"');
  const [, erasure] = describeBlock(aBlock(ERASE), aWork({ tokenRows: 1_000, namedEvents: 2_000 }));
  expect(erasure?.message).toContain("1,000 token rows");
  expect(erasure?.message).toContain("2,000 events");
  const [, more] = describeBlock(aBlock(ERASE), aWork({ tokenRows: 100_000 }));
  expect(more?.message).toContain("100,000 or more token rows");
});

test("while tokens are being ended, nothing is known but how many are left", () => {
  const { now, apiTokens, hasErased } = aWork();
  const work = { kind: "inProgress", now, apiTokens, hasErased, tokensRevoked: 2_000, left: 3_000 } as const;
  const [effect, erasure] = describeBlock(aBlock(ERASE), work);
  expect(effect).toMatchObject({ status: "False", reason: "InProgress" });
  expect(effect?.message).toContain("Ended 2,000 of 5,000 tokens");
  expect(erasure).toMatchObject({ status: "False", reason: "Pending" });
  expect([isUnfinished(aBlock(ERASE), work), mustEraseNow(aBlock(ERASE), work)]).toEqual([true, false]);
});

test.each<[string, Partial<DesiredBlock>, Partial<CountedWork>, boolean]>([
  ["of an owner who is known", {}, {}, false],
  ["of an owner of whom nothing else is known", {}, { apiTokens: 0 }, true],
  ["before its time", LATER, { apiTokens: 0 }, false],
  ["with accepted tokens", {}, { apiTokens: 0, acceptedTokens: 1 }, false],
  ["that is to erase for the first time, which is due in any case", ERASE, { apiTokens: 0 }, false],
  ["that has erased, with rows again", ERASE, { hasErased: true, tokenRows: 1 }, false],
  ["that has erased", ERASE, { hasErased: true }, true],
])("whether events are counted for a block %s", (_, block, work, mustCount) => {
  expect(mustCountEvents(aBlock(block), aWork(work))).toBe(mustCount);
});

test.each<[Partial<CountedWork>, boolean]>([
  [{}, false],
  [{ hasErased: true }, true],
  [{ hasErased: true, tokenRows: 1 }, false],
  [{ hasErased: true, namedEvents: 1 }, false],
  [{ hasErased: true, namedEvents: undefined }, false],
])("an owner is erased if the database has recorded it and has nothing of them since: %j", (work, isIt) => {
  expect(isErased(aWork(work))).toBe(isIt);
});

describe("a failed pass", () => {
  const FAILURE = { reason: "DatabaseRefused", message: "rejected" } as const;
  const statusOf = (block: Partial<DesiredBlock>, work: Partial<CountedWork>) => ({
    conditions: buildConditions(describeBlock(aBlock(block), aWork(work)), {}, 1, NOW),
  });
  const fail = (before: OwnerBlockStatus, block: Partial<DesiredBlock>, generation: number, failures = 3) =>
    describeBlockFailure(before, aBlock(block), FAILURE, { now: NOW, generation, failures })?.map(
      ({ type, status, reason }) => `${type} ${status} ${reason}`,
    );
  const RECONCILING = "Reconciling True DatabaseRefused";

  test("is the reason why a block is not in effect", () => {
    const failed = ["Effective False DatabaseRefused", RECONCILING];
    expect(fail({}, {}, 1)).toEqual(failed);
    expect(fail(statusOf({}, { acceptedTokens: 1 }), {}, 1)).toEqual(failed);
    expect(fail(statusOf({}, {}), LATER, 2)).toEqual(failed);
  });

  test("is the reason why an owner is not erased, and the block stays in effect", () => {
    const failed = ["Effective True Blocked", "Erased False DatabaseRefused", RECONCILING];
    expect(fail(statusOf(ERASE, { tokenRows: 1 }), ERASE, 1)).toEqual(failed);
    expect(fail(statusOf({}, {}), ERASE, 2)).toEqual(failed);
  });

  test("of a block that has done everything changes nothing, unless a change of it is not recorded", () => {
    expect(fail(statusOf({}, {}), {}, 1)).toBeUndefined();
    expect(fail(statusOf(ERASE, { hasErased: true }), ERASE, 1)).toBeUndefined();
    expect(fail(statusOf(ERASE, { hasErased: true }), ERASE, 2)).toEqual([
      "Effective True Blocked",
      "Erased True Erased",
      RECONCILING,
    ]);
    const view = { now: NOW, generation: 2, failures: 3 };
    const [effect] = describeBlockFailure(statusOf({}, {}), aBlock(), FAILURE, view) ?? [];
    expect(effect?.message).toMatch(/last change\. rejected$/);
  });

  test("that has lasted leaves nobody waiting", () => {
    const stalled = "Stalled True DatabaseRefused";
    expect(fail({}, {}, 1, 15)).toContain(RECONCILING);
    expect(fail({}, {}, 1, 16)).toEqual(["Effective False DatabaseRefused", stalled]);
    expect(fail(statusOf(ERASE, { tokenRows: 1 }), ERASE, 1, 16)?.slice(-1)).toEqual([stalled]);
    expect(fail(statusOf({}, {}), ERASE, 2, 16)?.slice(-1)).toEqual([stalled]);
  });
});

test("a block that cannot be read names whom its record still blocks", () => {
  expect(describeUnreadable("spec.owner: must be a string.", undefined)).toBe("spec.owner: must be a string.");
  expect(describeUnreadable("spec.owner: must be a string.", "mallory")).toMatch(/^spec\.owner: .*owner "mallory"/);
});

test("a part of the spec that cannot be read is named, and hides nothing else", () => {
  const [effect] = describeBlock(aBlock(), aWork(), "spec.erase: must be a boolean.");
  expect(effect).toMatchObject({ status: "True", reason: "Blocked" });
  expect(effect?.message).toMatch(/none is issued\. Part of the spec is ignored: spec\.erase/);
});

test.each<[string, Partial<DesiredBlock>, Partial<CountedWork>, boolean, boolean]>([
  ["before its time", { ...LATER, ...ERASE }, { acceptedTokens: 1, tokenRows: 1 }, false, false],
  ["with accepted tokens", ERASE, { acceptedTokens: 1, tokenRows: 1 }, true, false],
  ["with rows, to be erased", ERASE, { tokenRows: 1 }, true, true],
  ["with rows, not to be erased", {}, { tokenRows: 1 }, false, false],
  ["that has erased", ERASE, { hasErased: true }, false, false],
])("%s: whether something is left to do, and whether that is the erasure", (_, block, work, isLeft, isErasure) => {
  expect(isUnfinished(aBlock(block), aWork(work))).toBe(isLeft);
  expect(mustEraseNow(aBlock(block), aWork(work))).toBe(isErasure);
});

describe("from status to status", () => {
  const claimsOf = (work: Partial<CountedWork>) => describeBlock(aBlock(), aWork(work));
  const before = { conditions: buildConditions(claimsOf({ acceptedTokens: 1 }), {}, 1, NOW) };
  const later = new Date(NOW.getTime() + HOUR_MS);

  test("a condition keeps its time while its status stays the same", () => {
    const [same] = buildConditions(claimsOf({ acceptedTokens: 2 }), before, 2, later);
    expect(same).toMatchObject({ observedGeneration: 2, lastTransitionTime: before.conditions[0]?.lastTransitionTime });
    const [changed] = buildConditions(claimsOf({}), before, 2, later);
    expect(changed?.lastTransitionTime).not.toBe(before.conditions[0]?.lastTransitionTime);
  });

  test("only a new reason causes an Event, and progress causes none", () => {
    const blocked = { conditions: buildConditions(claimsOf({}), before, 1, later) };
    const typo = { conditions: buildConditions(claimsOf({ apiTokens: 0 }), {}, 1, later) };
    expect(describeBlockChange({}, before)).toEqual([]);
    expect(describeBlockChange(before, blocked)).toMatchObject([{ type: "Normal", reason: "Blocked" }]);
    expect(describeBlockChange(blocked, blocked)).toEqual([]);
    expect(describeBlockChange({}, typo)).toMatchObject([{ type: "Warning", reason: "NothingMatched" }]);
  });
});

test("a block that cannot be read causes one Event, although two conditions say so", () => {
  const conditions = buildConditions(describeProblem("spec.owner: missing"), {}, 1, NOW);
  expect(conditions.map(({ type }) => type)).toEqual(["Effective", "Stalled"]);
  expect(describeBlockChange({}, { conditions })).toMatchObject([{ type: "Warning", reason: "InvalidSpec" }]);
});

test("every reason is one word", () => {
  const reasons = Object.values(BLOCK_REASONS).flatMap((each) => [...each.True, ...each.False]);
  for (const reason of reasons) expect(reason).toMatch(/^[A-Z][A-Za-z]+$/);
});

test.each([
  ["alice", true],
  ["!~", true],
  ["", false],
  ["carol\n", false],
  ["a b", false],
  ["a\u0000", false],
  ["müller", false],
  ["x".repeat(254), false],
])("whether %j is an owner: %s", (text, isIt) => {
  expect(isOwner(text)).toBe(isIt);
});
