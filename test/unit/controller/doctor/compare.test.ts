import { expect, test } from "vitest";
import { compare } from "../../../../src/controller/doctor/compare.ts";
import type { CrossExamination, Examination, ExaminedToken } from "../../../../src/controller/doctor/examination.ts";
import type { LeaseView } from "../../../../src/kube/lease-view.ts";
import type { OwnerBlock } from "../../../../src/kube/resources/owner-block.ts";
import type { ExaminedBlock } from "../../../../src/postgres/examination.ts";
import type { ApiTokenStatus } from "../../../../src/token/model.ts";
import type { Reason } from "../../../../src/token/reasons.ts";
import { HOUR_MS, NOW } from "../../../support/builders.ts";

const HELD: LeaseView = { state: "held", holder: "pod-1" };

function anExamination(cross: Partial<CrossExamination> = {}, rest: Partial<Examination> = {}): Examination {
  return {
    now: NOW,
    cluster: { missingDefinitions: [], policies: [], namespaces: [] },
    database: { schemaFault: undefined, missingEventMonths: [], faultyTriggers: [], keyUses: [] },
    keyring: { missing: [], swapped: [] },
    cross: { tokens: [], unownedSecrets: [], blocks: { resources: [], rows: [] }, ...cross },
    ...rest,
  };
}

function aStatus(reason: Reason, overrides: Partial<ApiTokenStatus> = {}): ApiTokenStatus {
  const times = { observedGeneration: 1, lastTransitionTime: "2026-06-01T00:00:00Z" };
  return { conditions: [{ type: "Ready", status: "True", reason, message: `is ${reason}`, ...times }], ...overrides };
}

function aToken(overrides: Partial<ExaminedToken> = {}): ExaminedToken {
  const status = aStatus("Issued");
  return { key: "team/a", exists: true, actions: [], status, nextStatus: status, ...overrides };
}

function aBlock(spec: object, row: Partial<ExaminedBlock> | undefined): Partial<CrossExamination> {
  const resource: OwnerBlock = {
    metadata: { name: "leaver", uid: "u", resourceVersion: "1", creationTimestamp: "2026-06-01T00:00:00Z" },
    spec: { owner: "mallory", ...spec },
  };
  const recorded: ExaminedBlock = {
    uid: "u",
    name: "leaver",
    owner: "mallory",
    reason: "",
    effectiveAt: new Date("2026-06-01T00:00:00Z"),
    acceptedTokens: 0,
    hasErased: false,
    tokenRows: 0,
    namedEvents: 0,
    ...row,
  };
  return { blocks: { resources: [resource], rows: row === undefined ? [] : [recorded] } };
}

const kindsOf = (examination: Examination, lease: LeaseView = HELD) =>
  compare(examination, lease).map(({ kind }) => kind);

test("what is as it should be is not a difference", () => {
  expect(kindsOf(anExamination({ tokens: [aToken()] }))).toEqual([]);
});

test("the use of a token and the number of failed passes are not differences", () => {
  const nextStatus = aStatus("Issued", { lastUsedAt: "2026-06-01T00:00:00Z", failedAttempts: 4 });
  expect(kindsOf(anExamination({ tokens: [aToken({ nextStatus })] }))).toEqual([]);
  expect(kindsOf(anExamination({ tokens: [aToken({ nextStatus: aStatus("Rotated") })] }))).toEqual(["StatusOutdated"]);
});

test.each<[string, Partial<CrossExamination>, string[]]>([
  ["as recorded", aBlock({}, {}), []],
  ["not recorded", aBlock({}, undefined), ["OwnerBlockDiffers"]],
  ["recorded for another owner", aBlock({}, { owner: "trudy" }), ["OwnerBlockDiffers"]],
  ["recorded for another resource of the same name", aBlock({}, { uid: "former" }), ["OwnerBlockDiffers"]],
  ["recorded for another time", aBlock({}, { effectiveAt: NOW }), ["OwnerBlockDiffers"]],
  ["in effect, with accepted tokens", aBlock({}, { acceptedTokens: 2 }), ["OwnerBlockDiffers"]],
  [
    "not in effect yet, with accepted tokens",
    aBlock(
      { effectiveAt: "2026-06-02T00:00:00Z" },
      { effectiveAt: new Date("2026-06-02T00:00:00Z"), acceptedTokens: 2 },
    ),
    [],
  ],
  ["to be erased, and not yet so", aBlock({ erase: true }, {}), ["OwnerBlockDiffers"]],
  ["erased", aBlock({ erase: true }, { hasErased: true }), []],
  [
    "erased, of an owner who has a row again",
    aBlock({ erase: true }, { hasErased: true, tokenRows: 1 }),
    ["OwnerBlockDiffers"],
  ],
  [
    "erased, of an owner whom an event names again",
    aBlock({ erase: true }, { hasErased: true, namedEvents: 1 }),
    ["OwnerBlockDiffers"],
  ],
  ["that cannot be read", aBlock({ owner: 7 }, {}), ["InvalidOwnerBlock"]],
])("a block %s", (_, cross, kinds) => {
  expect(kindsOf(anExamination(cross))).toEqual(kinds);
});

test("a block that cannot be read is said to hold on if the database has recorded that very resource", () => {
  const problemOf = (row: Partial<ExaminedBlock> | undefined) =>
    compare(anExamination(aBlock({ owner: 7 }, row)), HELD).map(({ problem }) => problem);
  expect(problemOf({})).toEqual([expect.stringContaining('owner "mallory"')]);
  expect(problemOf({ uid: "former" })).toEqual([expect.not.stringContaining("mallory")]);
  expect(problemOf(undefined)).toEqual([expect.not.stringContaining("mallory")]);
});

test("a Secret without an ApiToken is fixed only if it had one", () => {
  const unownedSecrets = [
    { key: "team/lost", formerOwner: "gone", holds: { id: "abc", isAccepted: false } },
    { key: "team/copied", formerOwner: undefined, holds: undefined },
  ];
  const [lost, copied] = compare(anExamination({ unownedSecrets }), HELD);
  expect(lost).toMatchObject({ problem: expect.stringContaining("dead token abc"), fix: { kind: "deleteSecret" } });
  expect(copied?.fix).toBeUndefined();
});

test("policies that cannot be read, and those that select nothing", () => {
  const aPolicy = (name: string, spec: object) => ({ metadata: { name, uid: name, resourceVersion: "1" }, spec });
  const namespaces = [
    { metadata: { name: "team", uid: "n", resourceVersion: "1", labels: { tier: "one" } }, isTerminating: false },
  ];
  const policies = [
    aPolicy("used", { namespaceSelector: { matchLabels: { tier: "one" } } }),
    aPolicy("unused", { namespaceSelector: { matchLabels: { tier: "two" } } }),
    aPolicy("broken", { maxDuration: "forever" }),
  ];
  const found = compare(anExamination({}, { cluster: { missingDefinitions: [], policies, namespaces } }), HELD);
  expect(found.map(({ kind, object }) => `${kind} ${object}`)).toEqual([
    "PolicySelectsNothing ApiTokenPolicy unused",
    "InvalidPolicy ApiTokenPolicy broken",
  ]);
});

test("a policy whose ${namespace} is beside what names consist of: entry, danger and remedy are named", () => {
  const spec = { owners: ["${namespace}", "${namespace}-*", "alice"], scopes: ["${namespace}/*", "${namespace}*"] };
  const policies = [{ metadata: { name: "team", uid: "u", resourceVersion: "1" }, spec }];
  const namespaces = [{ metadata: { name: "any", uid: "n", resourceVersion: "1", labels: {} }, isTerminating: false }];
  const found = compare(anExamination({}, { cluster: { missingDefinitions: [], policies, namespaces } }), HELD);
  expect(found).toEqual([
    {
      kind: "PolicyCrossesNamespaces",
      object: "ApiTokenPolicy team",
      problem:
        'its owners entry "${namespace}-*" reaches other namespaces: in namespace "shop" it is "shop-*", which includes owners of namespace "shop-eu". An ApiToken in "shop" can act for them, and end their tokens',
      remedy:
        'separate ${namespace} with a character that no namespace\'s name has, such as "${namespace}/*"; ApiTokens whose owner is not allowed anymore are denied',
    },
    {
      kind: "PolicyCrossesNamespaces",
      object: "ApiTokenPolicy team",
      problem:
        'its scopes entry "${namespace}*" reaches other namespaces: in namespace "shop" it is "shop*", which includes scopes of namespace "shopeu". An ApiToken in "shop" can have them',
      remedy: expect.stringContaining(
        'such as "${namespace}/*"; ApiTokens whose scope is not allowed anymore are denied',
      ),
    },
  ]);
});

test.each<[LeaseView, string[]]>([
  [HELD, []],
  [{ state: "free" }, ["NoLeader"]],
  [{ state: "absent" }, ["NoLeader"]],
  [{ state: "expired", holder: "pod-1", renewedAt: new Date(NOW.getTime() - HOUR_MS) }, ["LeaseExpired"]],
])("a Lease that is %o", (lease, kinds) => {
  expect(kindsOf(anExamination(), lease)).toEqual(kinds);
});
