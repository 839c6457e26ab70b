import { text } from "node:stream/consumers";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createEventRecorder, type EventRecorder } from "../../../src/kube/event-recorder.ts";
import { createTransport, type KubeTransport } from "../../../src/kube/transport.ts";
import { eventually } from "../../support/eventually.ts";
import {
  type Answer,
  json,
  type MisbehavingApiServer,
  refuse,
  startMisbehavingApiServer,
} from "./misbehaving-api-server.ts";
import { createRecordedLog } from "./recorded-log.ts";

let server: MisbehavingApiServer;
let transport: KubeTransport;
let recorder: EventRecorder;
let dropped: number;

beforeEach(async () => {
  server = await startMisbehavingApiServer();
  transport = await createTransport({ userAgent: "test", kubeconfigPath: server.kubeconfigPath });
  dropped = 0;
  recorder = createEventRecorder({
    transport,
    controller: "apitoken.dev/controller",
    instance: "test",
    log: createRecordedLog().log,
    onDropped: () => {
      dropped += 1;
    },
  });
});

afterEach(async () => {
  await transport.close();
  await server.close();
});

function recordOne(message: string): void {
  const subject = { apiVersion: "v1", kind: "ConfigMap", namespace: "n", name: "a", uid: "u" };
  recorder.record(subject, { type: "Normal", reason: "Tested", action: "Test", message });
}

test("excess Events are dropped and counted, and the rest is written", async () => {
  let isOpen = false;
  const held: (() => void)[] = [];
  const answer: Answer = (response, request) => {
    const reply = () => json(201, {})(response, request);
    if (isOpen) reply();
    else held.push(reply);
  };
  server.calls(answer);
  for (let i = 0; i < 1_500; i += 1) recordOne(`message ${i}`);
  await eventually(() => held.length === 4);
  expect(dropped).toBe(1_500 - 1_000 - 4);
  expect(server.requests.length).toBe(4);
  isOpen = true;
  for (const reply of held) reply();
  await recorder.flush();
  expect(server.requests.length).toBe(1_004);
});

test("a rejected Event is dropped and counted, and may be recorded again", async () => {
  server.calls(refuse(403, "Forbidden"));
  recordOne("message");
  await recorder.flush();
  expect(dropped).toBe(1);
  server.calls(json(201, {}));
  recordOne("message");
  recordOne("message");
  await recorder.flush();
  expect(server.requests.length).toBe(2);
  expect(dropped).toBe(1);
});

test("Events of the same millisecond have times in the order in which they were recorded", async () => {
  const written: { note: string; eventTime: string }[] = [];
  server.calls(async (response, request) => {
    written.push(JSON.parse(await text(request)));
    json(201, {})(response, request);
  });
  const notes = Array.from({ length: 20 }, (_, number) => `message ${number}`);
  for (const note of notes) recordOne(note);
  await recorder.flush();
  const inOrder = written.toSorted((one, other) => (one.eventTime < other.eventTime ? -1 : 1));
  expect(inOrder.map(({ note }) => note)).toEqual(notes);
  expect(new Set(written.map(({ eventTime }) => eventTime)).size).toBe(notes.length);
});

test("with nothing to write, flush resolves at once", async () => {
  await recorder.flush();
});
