import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test as base, expect } from "vitest";
import { createKey, createKeyring, type Keyring } from "../../../../src/token/keyring.ts";
import { readSnapshotFile, writeSnapshotFile } from "../../../../src/verifier/snapshot/file.ts";

const keyring = createKeyring();
const LIMIT_BYTES = 1_000_000;
const TEXTS = ["the facts", "a hash", "another hash"];

// biome-ignore lint/correctness/noEmptyPattern: vitest reads a fixture's dependencies from its parameter's pattern
const test = base.extend("path", ({}, { onCleanup }) => {
  const folder = mkdtempSync(join(tmpdir(), "apitoken-snapshot-"));
  onCleanup(() => rmSync(folder, { recursive: true }));
  return join(folder, "memory.snapshot");
});

const write = (path: string, texts: Iterable<string> = TEXTS, limitBytes = LIMIT_BYTES) =>
  writeSnapshotFile(path, keyring, { texts, now: new Date(), limitBytes });

async function read(path: string, using: Keyring = keyring, limitBytes = LIMIT_BYTES): Promise<string[]> {
  const texts: string[] = [];
  for await (const text of readSnapshotFile(path, using, limitBytes)) texts.push(text);
  return texts;
}

test("what was written is read, and nothing of it can be seen in the file", async ({ path }) => {
  const bytes = await write(path);
  expect(await read(path)).toEqual(TEXTS);
  const file = readFileSync(path);
  expect(file.length).toBe(bytes);
  for (const text of TEXTS) expect(file.includes(text)).toBe(false);
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test("the same text is sealed under another key each time", async ({ path }) => {
  await write(path);
  const first = readFileSync(path);
  await write(path);
  expect(readFileSync(path).subarray(-64).equals(first.subarray(-64))).toBe(false);
});

test("a file in which any byte was changed, or that was cut or extended, is refused", async ({ path }) => {
  await write(path);
  const whole = readFileSync(path);
  const changed = Array.from(whole, (byte, place) => {
    const copy = Buffer.from(whole);
    copy[place] = byte ^ 1;
    return copy;
  });
  const cut = Array.from(whole, (_byte, place) => whole.subarray(0, place));
  for (const file of [...changed, ...cut, Buffer.concat([whole, whole]), Buffer.concat([whole, Buffer.alloc(20)])]) {
    writeFileSync(path, file);
    await expect(read(path)).rejects.toThrow(/^it (was|is) /);
  }
});

test("records cannot be left out or exchanged", async ({ path }) => {
  await write(path, ["a", "b", "c"]);
  const whole = readFileSync(path);
  const recordBytes = 4 + 1 + 16;
  const head = whole.subarray(0, whole.length - 3 * recordBytes - 20);
  const [a, b, c] = [3, 2, 1].map((left) => {
    const start = whole.length - 20 - left * recordBytes;
    return whole.subarray(start, start + recordBytes);
  }) as [Buffer, Buffer, Buffer];
  const last = whole.subarray(-20);
  expect(Buffer.concat([head, a, b, c, last]).equals(whole)).toBe(true);
  for (const records of [
    [b, c, last],
    [a, c, last],
    [a, b, last],
    [b, a, c, last],
    [a, b, c, c, last],
    [a, b, c],
  ]) {
    writeFileSync(path, Buffer.concat([head, ...records]));
    await expect(read(path)).rejects.toThrow("it was changed or damaged");
  }
});

test("only the keyring that has sealed a file opens it, also after a rotation", async ({ path }) => {
  await write(path);
  const rotated: Keyring = { ...keyring, encryption: [createKey("e"), ...keyring.encryption] };
  expect(await read(path, rotated)).toEqual(TEXTS);
  await expect(read(path, createKeyring())).rejects.toThrow("a key that is not in the keyring");
  const [key] = keyring.encryption;
  const swapped: Keyring = { ...keyring, encryption: [{ ...key, secret: createKey("e").secret }] };
  await expect(read(path, swapped)).rejects.toThrow("belongs to another keyring");
});

test("a file of another version is refused", async ({ path }) => {
  await write(path);
  const other = readFileSync(path);
  other[other.indexOf("-1") + 1] = "2".charCodeAt(0);
  writeFileSync(path, other);
  await expect(read(path)).rejects.toThrow("it is of another version");
});

test("what does not fit is left out when writing, and a file that is too large is not read", async ({ path }) => {
  const texts = Array.from({ length: 100 }, (_, number) => `${number} ${"x".repeat(1_000)}`);
  expect(await write(path, texts, 10_500)).toBeLessThan(10_500);
  expect(await read(path)).toEqual(texts.slice(0, 10));
  await expect(read(path, keyring, 10_000)).rejects.toThrow("it is too large");
});

test("a writing that fails leaves the last file as it was, and nothing else", async ({ path }) => {
  await write(path);
  const failing = function* () {
    yield "new";
    throw new Error("no memory");
  };
  await expect(write(path, failing())).rejects.toThrow("no memory");
  expect(await read(path)).toEqual(TEXTS);
  expect(readdirSync(join(path, ".."))).toEqual(["memory.snapshot"]);
  expect(existsSync(`${path}.unfinished`)).toBe(false);
});
