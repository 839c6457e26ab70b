/*
 * The usual starting point of tests on a simulated world: one ApiToken that has its token and needs nothing.
 */
import { ALLOWED, aDesiredToken, aResource, aTokenRow, NOW } from "../../support/builders.ts";
import { contentsOf, decorationOf, type World } from "./world.ts";

export const token = aTokenRow({ id: "row1" });
export const inSecret = {
  owner: "us",
  value: token.id,
  decoration: decorationOf(token),
  contents: contentsOf(aDesiredToken(), token),
  handledRotateAt: undefined,
} as const;

/** A converged world, except for the overrides. */
export function aWorld(overrides: Partial<World> = {}): World {
  return structuredClone({
    now: NOW,
    policy: ALLOWED,
    block: undefined,
    rivals: { older: 0, newer: 0 },
    spec: { desired: aDesiredToken() },
    resource: aResource({ status: { tokenId: token.id, revision: 1 } }),
    rows: [token],
    secrets: { demo: inSecret },
    inHand: undefined,
    issued: 0,
    ...overrides,
  });
}
