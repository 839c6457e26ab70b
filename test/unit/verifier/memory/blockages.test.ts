import { expect, test } from "vitest";
import { createBlockages } from "../../../../src/verifier/memory/blockages.ts";
import { later, NOW } from "../../../support/builders.ts";

const block = (owner: string) => ({ owner, from: NOW });

test("an owner without a block is never blocked, and one with a block from its time on", () => {
  const blockages = createBlockages();
  expect(blockages.find("alice")).toBe(Number.POSITIVE_INFINITY);
  blockages.beginReading()([block("alice")]);
  expect(blockages.find("alice")).toBe(NOW.getTime());
  expect(blockages.find("bob")).toBe(Number.POSITIVE_INFINITY);
});

test("an owner whose block has changed is unknown until it is read again", () => {
  const blockages = createBlockages();
  blockages.hearChange("alice");
  expect(blockages.find("alice")).toBeUndefined();
  expect([...blockages.suspects]).toEqual(["alice"]);
  blockages.beginReading("alice")([]);
  expect(blockages.find("alice")).toBe(Number.POSITIVE_INFINITY);
});

test("a block that was recorded, and later moved, is found by a reading of its owner alone", () => {
  const blockages = createBlockages();
  blockages.hearChange("alice");
  blockages.beginReading("alice")([block("alice")]);
  expect(blockages.find("alice")).toBe(NOW.getTime());
  blockages.hearChange("alice");
  blockages.beginReading("alice")([{ owner: "alice", from: later(1_000) }]);
  expect(blockages.find("alice")).toBe(NOW.getTime() + 1_000);
  expect([...blockages.suspects]).toEqual([]);
});

test("what was read before the last change was heard of says nothing", () => {
  const blockages = createBlockages();
  blockages.hearChange("alice");
  const [one, all] = [blockages.beginReading("alice"), blockages.beginReading()];
  blockages.hearChange("alice");
  one([]);
  all([]);
  expect(blockages.find("alice")).toBeUndefined();
  blockages.beginReading()([block("alice")]);
  expect(blockages.find("alice")).toBe(NOW.getTime());
});

test("a reading of all blocks forgets those that were lifted", () => {
  const blockages = createBlockages();
  blockages.beginReading()([block("alice"), block("bob")]);
  blockages.beginReading()([block("bob")]);
  expect(blockages.find("alice")).toBe(Number.POSITIVE_INFINITY);
});
