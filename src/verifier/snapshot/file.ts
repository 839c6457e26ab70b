/*
 * The file of a snapshot: written beside the last one and renamed when it is complete and on disk, so that a crash leaves one of
 * the two.
 */
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import type { Keyring } from "../../token/keyring.ts";
import { createOpener, createSealer, LONGEST_HEAD_BYTES, TAG_BYTES } from "./seal.ts";

/** A snapshot must not be used. The message says why. */
export class SnapshotRefusedError extends Error {
  override readonly name = "SnapshotRefusedError";
}

const LENGTH_BYTES = 4;

/** Far more than the writer puts into one record: whoever can write the file must not choose how much memory is taken. */
const MOST_RECORD_BYTES = 16 * 1_048_576;

/** What is written of a snapshot. */
export interface SnapshotTexts {
  readonly texts: Iterable<string>;
  readonly now: Date;
  readonly limitBytes: number;
}

/** Replaces the file. It ends early, as a whole one, before the text that would exceed the limit. Returns its size in bytes. */
export async function writeSnapshotFile(
  path: string,
  keyring: Pick<Keyring, "encryption">,
  { texts, now, limitBytes }: SnapshotTexts,
): Promise<number> {
  const unfinished = `${path}.unfinished`;
  const file = await open(unfinished, "w", 0o600);
  let bytes = 0;
  try {
    const { head, seal } = createSealer(keyring, now);
    const write = async (part: Buffer) => {
      await file.appendFile(part);
      bytes += part.length;
    };
    await write(head);
    for (const text of texts) {
      const plain = Buffer.from(text);
      const recordBytes = LENGTH_BYTES + plain.length + TAG_BYTES;
      if (bytes + recordBytes + LENGTH_BYTES + TAG_BYTES > limitBytes) break;
      await write(withLength(seal(plain, false)));
    }
    await write(withLength(seal(Buffer.alloc(0), true)));
    await file.sync();
    await file.close();
    await rename(unfinished, path);
    await syncFolder(dirname(path));
    return bytes;
  } catch (error) {
    await file.close().catch(() => {});
    await rm(unfinished, { force: true }).catch(() => {});
    throw error;
  }
}

/** A rename is on disk when its folder is. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  await handle.sync().finally(() => handle.close());
}

function withLength(record: Buffer): Buffer {
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32BE(record.length);
  return Buffer.concat([length, record]);
}

/**
 * Reads the texts of a file, in their order. Nothing counts before all of them have been read. Throws a SnapshotRefusedError, or
 * the file system's error.
 */
export async function* readSnapshotFile(
  path: string,
  keyring: Pick<Keyring, "encryption">,
  limitBytes: number,
): AsyncGenerator<string> {
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    if (size > limitBytes) throw new SnapshotRefusedError("it is too large");
    const start = await readAt(file, 0, Math.min(size, LONGEST_HEAD_BYTES));
    const opener = createOpener(start, keyring);
    if (opener === "version") throw new SnapshotRefusedError("it is of another version, or not a snapshot");
    if (opener === "key") throw new SnapshotRefusedError("it was sealed with a key that is not in the keyring");
    for (let place = opener.headBytes; ; ) {
      const lengthBytes = await readAt(file, place, LENGTH_BYTES);
      const length = lengthBytes.length < LENGTH_BYTES ? 0 : lengthBytes.readUInt32BE();
      if (length < TAG_BYTES || length > MOST_RECORD_BYTES) throw damaged();
      place += LENGTH_BYTES + length;
      const isLast = place === size;
      const record = await readAt(file, place - length, length);
      const text = record.length < length ? undefined : opener.open(record, isLast);
      if (text === undefined) throw damaged();
      if (isLast) return;
      yield text.toString("utf8");
    }
  } finally {
    await file.close();
  }
}

const damaged = () => new SnapshotRefusedError("it was changed or damaged, or belongs to another keyring");

async function readAt(file: FileHandle, place: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, place);
  return buffer.subarray(0, bytesRead);
}
