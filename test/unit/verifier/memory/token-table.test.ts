import fc from "fast-check";
import { expect, test } from "vitest";
import { KnownToken } from "../../../../src/verifier/memory/known-token.ts";
import { createTokenTable } from "../../../../src/verifier/memory/token-table.ts";
import { aVerifiableToken as aRow, NOW } from "../../../support/builders.ts";

/** Digests that begin alike share a place on the short way. */
const aSeen = (id: string, version: number) => `${id.slice(0, 3)}-${id}-${version}`;
const anId = fc.tuple(fc.constantFrom("abc", "xyz"), fc.constantFrom("1", "2", "3")).map(([start, end]) => start + end);
const aStep = fc.record({ what: fc.constantFrom("use", "show", "set", "delete"), id: anId });

test("what is done with it, it answers as a Map does", () => {
  fc.assert(
    fc.property(fc.array(aStep, { maxLength: 60 }), (steps) => {
      const table = createTokenTable();
      const model = new Map<string, KnownToken>();
      let expires = 0;
      for (const { what, id } of steps) {
        if (what === "delete") {
          table.delete(id);
          model.delete(id);
        } else if (what === "set") {
          expires += 1;
          const row = aRow(id, { expiresAt: new Date(NOW.getTime() + expires) });
          const token = new KnownToken(row, NOW.getTime());
          table.set(id, token);
          model.set(id, token);
        }
        if (what === "use") {
          const used = table.use(id);
          expect(used?.id).toBe(model.get(id)?.id);
          expect(used?.expiresAt).toEqual(model.get(id)?.expiresAt);
          expect(table.use(id)).toBe(used);
          if (used !== undefined) model.set(id, used);
        }
        if (what === "show") {
          const used = table.use(id);
          if (used !== undefined) {
            used.seen ??= aSeen(id, expires);
            table.note(used);
            expect(table.recall(used.seen)).toBe(used);
            model.set(id, used);
          }
        }
        for (let version = 0; version <= expires; version += 1) {
          const recalled = table.recall(aSeen(id, version));
          if (recalled !== undefined) expect([recalled, recalled.seen]).toEqual([model.get(id), aSeen(id, version)]);
        }
        expect(table.get(id)).toBe(model.get(id));
        expect(table.has(id)).toBe(model.has(id));
      }
      expect([...table]).toEqual([...model]);
      expect([...table.keys()]).toEqual([...model.keys()]);
      expect([...table.values()]).toEqual([...model.values()]);
      expect(table.size).toBe(model.size);
    }),
  );
});
