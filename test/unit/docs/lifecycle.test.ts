import { readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { REPLACED } from "../../../src/controller/metrics/metrics.ts";
import { UNINSTALLED } from "../../../src/controller/uninstall/uninstall.ts";
import { BLOCK_CONDITION_GUIDES, CONDITION_GUIDES, POLICY_CONDITION_GUIDES } from "../../../src/kube/crds/api-guide.ts";
import { HOLDER_REASONS } from "../../../src/postgres/inboxes.ts";
import { describeAnomaly } from "../../../src/token/anomalies.ts";
import { CONDITION_TYPES } from "../../../src/token/condition.ts";
import { PROGRESS_TYPES } from "../../../src/token/kstatus.ts";
import type { ApiTokenStatus } from "../../../src/token/model.ts";
import { describeActions, describeChange } from "../../../src/token/notes.ts";
import { ISSUE_CAUSES, REVOCATION_REASONS } from "../../../src/token/plan/action.ts";
import { ANOMALY_KINDS, REASONS } from "../../../src/token/reasons.ts";
import { codeIn, readProjectFile, readTable } from "./tables.ts";

const text = readProjectFile("docs/lifecycle.md");
const namesIn = (heading: string, column = 0) => readTable(text, heading).flatMap((cells) => codeIn(cells[column]));

const reasonsOf = (type: string, status: string) =>
  CONDITION_GUIDES.filter((guide) => guide.type === type && guide.status === status).flatMap(({ reasons }) => reasons);

describe("docs/lifecycle.md explains", () => {
  test("every reason that the code has, and no other", () => {
    const explained = [
      ...namesIn("## Reasons of Ready"),
      ...namesIn("## Reasons of the other conditions", 1),
      ...namesIn("## Events").filter((name) => !(CONDITION_TYPES as readonly string[]).includes(name)),
    ];
    expect(explained.sort()).toEqual([...REASONS].sort());
  });

  test("each with cause and remedy", () => {
    for (const heading of ["## Reasons of Ready", "## Reasons of the other conditions", "## Events"]) {
      for (const cells of readTable(text, heading)) {
        const [cause = "", remedy = ""] = cells.slice(-2);
        expect(cause, cells[0]).toMatch(/^\S.*\.$/);
        expect(remedy, cells[0]).toMatch(/^\S.*\.$/);
      }
    }
  });

  test.each(readTable(text, "## Reasons of Ready"))("which status Ready has with it: %s %s", (reason, statuses) => {
    const [name = ""] = codeIn(reason);
    const possible = ["True", "False"].filter((status) => (reasonsOf("Ready", status) as string[]).includes(name));
    expect(statuses).toBe(possible.join(" or "));
  });

  test.each(readTable(text, "## Reasons of the other conditions"))("the reason of %s, which is %s", (type, reason) => {
    expect(codeIn(reason)).toEqual(reasonsOf(codeIn(type)[0] ?? "", "True"));
  });

  test("every Event that is not named after the reason of Ready, and no other", () => {
    const conditions = CONDITION_TYPES.map((type) => ({
      ...{ type, status: "True", reason: "Issued", message: "" },
      ...{ observedGeneration: 1, lastTransitionTime: "2026-06-01T12:00:00Z" },
    })) as ApiTokenStatus["conditions"];
    const actions = ISSUE_CAUSES.map((cause) => ({
      ...{ kind: "issueToken", cause, revision: 2 },
      ...{ issuedAt: new Date(0), expiresAt: new Date(1), activeSince: new Date(0) },
    })) as Parameters<typeof describeActions>[0];
    const anomalies = ANOMALY_KINDS.map((kind) => describeAnomaly(kind, "aaaaaaaaaaaa", undefined));
    const changes = describeChange({}, { conditions: conditions ?? [] });
    const notes = [...describeActions(actions), ...changes, ...anomalies];
    const reasons = new Set(notes.map(({ reason }) => reason).filter((reason) => reason !== "Issued"));
    expect([...reasons].sort()).toEqual(namesIn("## Events").sort());
  });

  test.each([
    ["an OwnerBlock", "## OwnerBlocks", BLOCK_CONDITION_GUIDES],
    ["an ApiTokenPolicy", "## ApiTokenPolicies", POLICY_CONDITION_GUIDES],
  ])(
    "every reason of the conditions of %s, and no other, each with its status, cause and remedy",
    (_, heading, guides) => {
      const told = readTable(text, heading).map(([type, reason, cause = "", remedy = ""]) => {
        expect(cause, reason).toMatch(/^(True|False)\b.*\.$/);
        expect(remedy, reason).toMatch(/^\S.*\.$/);
        return [codeIn(type)[0], cause.split(/[:,]/)[0], codeIn(reason)[0]].join(" ");
      });
      const known = guides
        .filter(({ type }) => !(PROGRESS_TYPES as readonly string[]).includes(type))
        .flatMap(({ type, status, reasons }) => reasons.map((reason) => `${type} ${status} ${reason}`));
      expect(told.sort()).toEqual(known.sort());
    },
  );

  test("every reason for which a token ends, and no other", () => {
    expect(namesIn("## Why a token ended").sort()).toEqual(
      [...REVOCATION_REASONS, UNINSTALLED, ...HOLDER_REASONS].sort(),
    );
  });

  test("every cause for which a token is issued, and no other", () => {
    expect(namesIn("## Why a token was issued")).toEqual([...ISSUE_CAUSES, REPLACED]);
  });

  test("every event that the migrations write to the audit trail", () => {
    const sql = readdirSync("migrations")
      .map((file) => readProjectFile(`migrations/${file}`))
      .join();
    const written = sql.matchAll(
      /'(Token[A-Z][a-z]+|Tokens[A-Z][a-z]+|RowsCleaned|PartitionDropped|OwnerErased|VerificationFailed|UnusualUse)'/g,
    );
    expect(namesIn("## The audit trail").sort()).toEqual([...new Set([...written].map(([, event]) => event))].sort());
  });

  test("in its picture only reasons that exist", () => {
    const [, picture = ""] = text.split("```mermaid");
    const states = [...(picture.split("```")[0] ?? "").matchAll(/^ {8}([A-Z]\w+)$/gm)].map(([, state]) => state);
    expect(states.length).toBeGreaterThan(10);
    expect(REASONS).toEqual(expect.arrayContaining(states));
  });
});
