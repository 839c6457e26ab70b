import { PassThrough } from "node:stream";
import { stripVTControlCharacters } from "node:util";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import {
  createPacer,
  createPaint,
  createProgressLine,
  formatTable,
  isColoured,
  type OutputStream,
} from "../../../src/runtime/terminal.ts";

const PLAIN = createPaint(false);
const COLOURED = createPaint(true);

describe("colours", () => {
  test.each<[string, boolean, NodeJS.ProcessEnv, boolean | undefined, boolean]>([
    ["a terminal has colours", true, {}, undefined, true],
    ["a pipe has none", false, {}, undefined, false],
    ["a dumb terminal has none", true, { TERM: "dumb" }, undefined, false],
    ["NO_COLOR turns them off", true, { NO_COLOR: "1" }, undefined, false],
    ["an empty NO_COLOR counts as not set", true, { NO_COLOR: "" }, undefined, true],
    ["FORCE_COLOR turns them on in a pipe", false, { FORCE_COLOR: "1" }, undefined, true],
    ["FORCE_COLOR=0 turns them off", true, { FORCE_COLOR: "0" }, undefined, false],
    ["an empty FORCE_COLOR counts as not set", false, { FORCE_COLOR: "" }, undefined, false],
    ["FORCE_COLOR precedes NO_COLOR", false, { FORCE_COLOR: "1", NO_COLOR: "1" }, undefined, true],
    ["--color precedes NO_COLOR", false, { NO_COLOR: "1" }, true, true],
    ["--no-color precedes FORCE_COLOR", true, { FORCE_COLOR: "1" }, false, false],
  ])("%s", (_, isTTY, environment, flag, expected) => {
    expect(isColoured({ isTTY }, environment, flag)).toBe(expected);
  });

  test("paint returns the text unchanged when colours are off", () => {
    expect(PLAIN("red", "text")).toBe("text");
    expect(COLOURED("red", "text")).toBe("\u001b[31mtext\u001b[39m");
    expect(COLOURED("red", "")).toBe("");
  });
});

describe("a table", () => {
  const TABLE = {
    columns: [{ title: "" }, { title: "before", align: "right", minWidth: 8 }, { title: "NOTE" }],
    rows: [
      ["live", { text: "45,821", style: "green" }, "kept"],
      ["past retention", "7", ""],
      ["日本", "1"],
    ],
    indent: "  ",
  } as const;

  test("aligns its columns by what a terminal shows, not by characters", () => {
    expect(formatTable(TABLE, PLAIN)).toEqual([
      "                    before  NOTE",
      "  live              45,821  kept",
      "  past retention         7",
      "  日本                   1",
    ]);
  });

  test("keeps its widths when it has colours", () => {
    const coloured = formatTable(TABLE, COLOURED);
    expect(coloured[1]).toContain("\u001b[32m45,821\u001b[39m");
    expect(coloured.map((line) => stripVTControlCharacters(line).trimEnd())).toEqual(formatTable(TABLE, PLAIN));
    const painted = { columns: [{ title: "A" }, { title: "B" }], rows: [[COLOURED("red", "x"), "y"]] };
    expect(formatTable(painted, PLAIN)[1]).toBe(`${COLOURED("red", "x")}  y`);
  });

  test("wraps texts that are longer than their column, and keeps line breaks", () => {
    const columns = [
      { title: "OBJECT", maxWidth: 8 },
      { title: "PROBLEM", maxWidth: 9 },
    ];
    expect(formatTable({ columns, rows: [["a token\n(Kind)", "it is not there"]] }, PLAIN)).toEqual([
      "OBJECT   PROBLEM",
      "a token  it is not",
      "(Kind)   there",
    ]);
  });

  test("without rows has only its titles", () => {
    expect(formatTable({ columns: [{ title: "ID" }], rows: [] }, PLAIN)).toEqual(["ID"]);
  });
});

describe("progress", () => {
  const aStream = (properties: Partial<OutputStream>) =>
    Object.assign(new PassThrough({ encoding: "utf8" }), properties);

  test("on a terminal is one line, cut to fit, that disappears at the end", () => {
    const terminal = aStream({ isTTY: true, columns: 10 });
    const line = createProgressLine(terminal);
    line.show("short");
    line.show(COLOURED("red", "much too long"));
    line.clear();
    line.clear();
    expect(terminal.read()).toBe("\r\u001b[Kshort\r\u001b[Kmuch too \r\u001b[K");
  });

  test("elsewhere is one line per text, without control sequences", () => {
    const file = aStream({});
    const line = createProgressLine(file);
    line.show("a fairly long text");
    line.show("done");
    line.clear();
    expect(file.read()).toBe("a fairly long text\ndone\n");
  });

  test("that was never shown clears nothing", () => {
    const terminal = aStream({ isTTY: true });
    createProgressLine(terminal).clear();
    expect(terminal.read()).toBeNull();
  });

  describe("is paced", () => {
    beforeEach(() => void vi.useFakeTimers({ toFake: ["performance"] }));
    afterEach(() => void vi.useRealTimers());

    test.each([
      ["starting after the first interval", createPacer.bind(undefined, 100), [false, true, false, true]],
      ["starting later, if asked to", createPacer.bind(undefined, 100, 250), [false, false, false, true]],
    ])("%s", (_, create, expected) => {
      const isTime = create();
      const seen = [90, 30, 90, 60].map((ms) => {
        vi.advanceTimersByTime(ms);
        return isTime();
      });
      expect(seen).toEqual(expected);
    });
  });
});
