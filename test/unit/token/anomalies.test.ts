import { expect, test } from "vitest";
import { describeAnomaly, isAnomalyKind } from "../../../src/token/anomalies.ts";
import { ANOMALY_KINDS } from "../../../src/token/reasons.ts";
import { readProjectFile } from "../docs/tables.ts";

test.each(ANOMALY_KINDS)("the Event for %s names token and address, and says that nothing was done", (kind) => {
  const note = describeAnomaly(kind, "Ab3dEf6hIj9k", "192.0.2.1");
  expect(note).toMatchObject({ type: "Warning", reason: kind });
  expect(note.message).toContain("Ab3dEf6hIj9k");
  expect(note.message).toContain("192.0.2.1");
  expect(note.message).toContain("Nothing was done about it");
  expect(describeAnomaly(kind, "Ab3dEf6hIj9k", undefined).message).toContain("an unknown address");
});

test("the database takes these kinds and no other", () => {
  const kinds = ANOMALY_KINDS.map((kind) => `'${kind}'`).join(", ");
  expect(readProjectFile("migrations/0001_schema.sql")).toContain(`kinds <@ array[${kinds}]`);
  expect(isAnomalyKind("Invented")).toBe(false);
});
