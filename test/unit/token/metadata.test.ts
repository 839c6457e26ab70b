import { expect, test } from "vitest";
import type { TokenMetadata, TokenRow } from "../../../src/token/model.ts";
import { plan } from "../../../src/token/plan/plan.ts";
import { ALLOWED, aConvergedObserved, aDesiredToken, NOW } from "../../support/builders.ts";

const METADATA = { team: "checkout" };

function actionsFor(metadata: TokenMetadata, row: Partial<TokenRow>): string[] {
  return plan({ desired: aDesiredToken({ metadata }) }, aConvergedObserved({}, row), ALLOWED).actions.map(
    ({ kind }) => kind,
  );
}

test.each<[string, Partial<TokenRow>]>([
  ["another value", { metadata: { team: "billing" } }],
  ["another key", { metadata: { unit: "checkout" } }],
  ["one pair more", { metadata: { team: "checkout", tenant: "a" } }],
  ["no pairs", { metadata: {} }],
  ["pairs that cannot be read", { metadata: undefined }],
  ["the right pairs under a former key", { metadata: METADATA, isMetadataStale: true }],
])("a row with %s is updated in place", (_, row) => {
  expect(actionsFor(METADATA, row)).toEqual(["updateToken"]);
});

test("a row with metadata that the spec no longer has is updated in place", () => {
  expect(actionsFor({}, { metadata: METADATA })).toEqual(["updateToken"]);
});

test("a row with the right pairs in another order is left alone", () => {
  expect(actionsFor({ b: "2", a: "1" }, { metadata: { a: "1", b: "2" } })).toEqual([]);
});

test.each([
  ["metadata", METADATA, true],
  ["none", {}, false],
])("whether a pass is due when the next key takes over: with %s", (_, metadata, isExpected) => {
  const encryptionChangesAt = new Date(NOW.getTime() + 60_000);
  const observed = aConvergedObserved({ encryptionChangesAt }, { metadata });
  const { requeueAt } = plan({ desired: aDesiredToken({ metadata }) }, observed, ALLOWED);
  expect(requeueAt?.getTime() === encryptionChangesAt.getTime()).toBe(isExpected);
});
