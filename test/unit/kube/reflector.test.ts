import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Change } from "../../../src/kube/intake.ts";
import { type Reflector, type ReflectorOptions, startReflector } from "../../../src/kube/reflector.ts";
import { createStore, type Store } from "../../../src/kube/store.ts";
import { createTransport, type KubeTransport } from "../../../src/kube/transport.ts";
import { eventually } from "../../support/eventually.ts";
import {
  json,
  lines,
  listOf,
  type MisbehavingApiServer,
  refuse,
  silence,
  startMisbehavingApiServer,
  stream,
} from "./misbehaving-api-server.ts";
import { createRecordedLog } from "./recorded-log.ts";

interface Thing {
  readonly metadata: { name: string; namespace: string; uid: string; resourceVersion: string };
  readonly color: string;
}

const PATH = "/apis/test/v1/things";

let server: MisbehavingApiServer;
let transport: KubeTransport;
let store: Store<Thing>;
let reflectors: Reflector[];
/** The changes that were reported, as "type namespace/name/uid color". */
let changes: string[];
let recorded: ReturnType<typeof createRecordedLog>;

beforeEach(async () => {
  server = await startMisbehavingApiServer();
  transport = await createTransport({ userAgent: "test", kubeconfigPath: server.kubeconfigPath });
  store = createStore<Thing>();
  recorded = createRecordedLog();
  reflectors = [];
  changes = [];
});

afterEach(async () => {
  await Promise.all(reflectors.map((reflector) => reflector.stop()));
  await transport.close();
  await server.close();
});

function thing(key: string, version: string, color = "red", uid = `uid-${key}`): Thing {
  const [namespace = "", name = ""] = key.split("/");
  return { metadata: { namespace, name, uid, resourceVersion: version }, color };
}

function reflect(options: Partial<ReflectorOptions<Thing>> = {}): Reflector {
  const reflector = startReflector<Thing>({
    transport,
    store,
    path: PATH,
    log: recorded.log,
    fields: { metadata: "whole", color: "whole" },
    reduce: (raw) => raw as Thing,
    onChange: ({ type, object }: Change<Thing>) => {
      const { namespace, name, uid } = object.metadata;
      changes.push(`${type} ${namespace}/${name}/${uid} ${object.color}`);
    },
    backoff: { firstMs: 2, longestMs: 20 },
    ...options,
  });
  reflectors.push(reflector);
  return reflector;
}

/** The store as "namespace/name@version". */
function contents(): string[] {
  return [...store.values()].map(({ metadata: m }) => `${m.namespace}/${m.name}@${m.resourceVersion}`).sort();
}

const watched = () => server.requests.filter((request) => request.isWatch);
const listed = () => server.requests.filter((request) => !request.isWatch);
const watchedFrom = () => watched().map((request) => request.query.get("resourceVersion"));

describe("listing", () => {
  test("reads all pages, and is synced after the last one", async () => {
    server.calls(
      listOf("10", [thing("n/a", "1"), thing("n/b", "2")], "more"),
      listOf("10", [thing("n/c", "3")], "even-more"),
      listOf("10", [thing("n/d", "4")]),
    );
    await reflect({ pageSize: 2, labelSelector: "is=managed" }).synced;
    expect(contents()).toEqual(["n/a@1", "n/b@2", "n/c@3", "n/d@4"]);
    expect(
      listed().map(({ query }) => [query.get("limit"), query.get("continue"), query.get("labelSelector")]),
    ).toEqual([
      ["2", null, "is=managed"],
      ["2", "more", "is=managed"],
      ["2", "even-more", "is=managed"],
    ]);
    await eventually(() => watchedFrom().length === 1);
    expect(watched()[0]?.query.get("labelSelector")).toBe("is=managed");
    expect(Number(watched()[0]?.query.get("timeoutSeconds"))).toBeGreaterThanOrEqual(240);
  });

  test("starts again when a page has expired (410), and reports nothing as deleted", async () => {
    server.calls(
      listOf("10", [thing("n/a", "1")], "more"),
      refuse(410, "Expired"),
      listOf("20", [thing("n/a", "1")], "more"),
      listOf("20", [thing("n/b", "12")]),
    );
    await reflect().synced;
    expect(contents()).toEqual(["n/a@1", "n/b@12"]);
    expect(changes).toEqual(["added n/a/uid-n/a red", "added n/b/uid-n/b red"]);
    await eventually(() => watchedFrom()[0] === "20");
  });

  test("keeps trying after any answer, and logs each new reason once", async () => {
    server.calls(
      refuse(403, "Forbidden"),
      refuse(403, "Forbidden"),
      refuse(403, "Forbidden"),
      refuse(404, "NotFound"),
      refuse(404, "NotFound"),
      refuse(500, "InternalError"),
      refuse(503, "ServiceUnavailable", { "retry-after": "0" }),
      (response) => response.destroy(),
      json(200, "nonsense"),
      json(200, { kind: "Status" }),
      json(200, { metadata: { resourceVersion: "5" }, items: [{ no: "metadata" }] }),
      (response) => response.end("<html>"),
      listOf("10", [thing("n/a", "1")]),
    );
    server.watches(stream(lines(["ADDED", thing("n/b", "11")]), "hold"));
    const reasons: string[] = [];
    await reflect({ onRestart: (reason) => reasons.push(reason) }).synced;
    await eventually(() => contents().includes("n/b@11"));
    expect(reasons.length).toBe(12);
    const said = recorded.records.map(({ msg, reason }) => `${msg} ${reason ?? ""}`);
    expect(said).toEqual([
      "list or watch failed; retrying 403",
      "list or watch failed; retrying 404",
      "list or watch failed; retrying 500",
      "list or watch failed; retrying 503",
      "list or watch failed; retrying unreachable",
      "list or watch failed; retrying server_error",
      "list or watch failed; retrying unreachable",
      "watch restored ",
    ]);
  });

  test.each([
    [429, "TooManyRequests"],
    [503, "ServiceUnavailable"],
  ])("waits as long as the server asks when it is too busy (%s)", async (code, reason) => {
    server.calls(refuse(code, reason, { "retry-after": "1" }), listOf("10", [thing("n/a", "1")]));
    await reflect().synced;
    const [first, second] = listed();
    expect((second?.atMs ?? 0) - (first?.atMs ?? 0)).toBeGreaterThanOrEqual(990);
  });

  test("takes a list without items (null) as an empty one", async () => {
    server.calls(listOf("10", null));
    await reflect().synced;
    expect(contents()).toEqual([]);
  });
});

describe("watching", () => {
  test("follows events and bookmarks, and after a clean end continues from the last version", async () => {
    server.calls(listOf("10", [thing("n/a", "1"), thing("n/b", "2")]));
    server.watches(
      (response) => {
        const events = lines(["MODIFIED", thing("n/a", "11", "blue")], ["DELETED", thing("n/b", "12")]);
        response.writeHead(200).write(events);
        setTimeout(() => response.end(lines(["BOOKMARK", { metadata: { resourceVersion: "50" } }])), 1_100);
      },
      stream(lines(["ADDED", thing("n/c", "51")]), "hold"),
    );
    await reflect().synced;
    await eventually(() => contents().includes("n/c@51"));
    expect(changes.slice(2)).toEqual(["updated n/a/uid-n/a blue", "deleted n/b/uid-n/b red", "added n/c/uid-n/c red"]);
    expect(watchedFrom()).toEqual(["10", "50"]);
    expect(recorded.records).toEqual([]);
  });

  test.each([
    ["an error within the stream", stream(lines(["MODIFIED", thing("n/a", "11")], ["ERROR", { code: 500 }]), "hold")],
    ["a line that breaks off", stream(`${lines(["MODIFIED", thing("n/a", "11")])}{"type":"MODI`, "close")],
    ["a connection that breaks off", stream(lines(["MODIFIED", thing("n/a", "11")]), "break")],
    ["a line that is not JSON", stream(`${lines(["MODIFIED", thing("n/a", "11")])}<oops>\n`, "hold")],
    ["a line that is not an event", stream(`${lines(["MODIFIED", thing("n/a", "11")])}null\n{}\n`, "hold")],
    ["an event without an object", stream(`${lines(["MODIFIED", thing("n/a", "11")])}{"type":"ADDED"}\n`, "hold")],
    ["silence", stream(lines(["MODIFIED", thing("n/a", "11")]), "hold")],
    ["an end at once", stream(lines(["MODIFIED", thing("n/a", "11")]), "close")],
  ])("after %s it continues from the last version and misses nothing", async (_fault, answer) => {
    server.calls(listOf("10", [thing("n/a", "1")]));
    server.watches(answer, stream(lines(["ADDED", thing("n/b", "12")]), "hold"));
    await reflect({ stallMs: 300 }).synced;
    await eventually(() => contents().includes("n/b@12"));
    expect(contents()).toEqual(["n/a@11", "n/b@12"]);
    expect(watchedFrom().slice(0, 2)).toEqual(["10", "11"]);
    expect(listed().length).toBe(1);
  });

  test.each([
    ["within the stream", stream(lines(["ERROR", { code: 410, reason: "Expired" }]), "close")],
    ["as the answer", refuse(410, "Gone")],
  ])(
    "an expired version (410, %s) leads to a new list, and what is missing there is reported",
    async (_how, answer) => {
      server.calls(
        listOf("10", [thing("n/a", "1"), thing("n/b", "2")]),
        listOf("90", [thing("n/b", "70", "blue"), thing("n/c", "80")]),
      );
      server.watches(answer);
      await reflect().synced;
      await eventually(() => contents().includes("n/c@80"));
      await eventually(() => watchedFrom().includes("90"));
      expect(changes.slice(2)).toEqual([
        "updated n/b/uid-n/b blue",
        "added n/c/uid-n/c red",
        "deleted n/a/uid-n/a red",
      ]);
    },
  );

  test("after five broken watches in a row the list is read again", async () => {
    server.calls(listOf("10", [thing("n/a", "1")]), listOf("20", [thing("n/b", "15")]));
    const broken = refuse(500, "InternalError");
    server.watches(broken, broken, broken, broken, broken, silence);
    await reflect().synced;
    await eventually(() => watchedFrom().length === 6);
    expect(contents()).toEqual(["n/b@15"]);
    expect(watchedFrom()).toEqual(["10", "10", "10", "10", "10", "20"]);
  });

  test("a server that ends every watch at once is asked less and less often", async () => {
    server.calls(listOf("10", []));
    server.watches(...Array.from({ length: 4 }, () => stream("", "close")));
    await reflect({ backoff: { firstMs: 40, longestMs: 30_000 } }).synced;
    await eventually(() => watched().length === 5);
    const at = watched().map(({ atMs }) => atMs);
    expect((at[4] ?? 0) - (at[3] ?? 0)).toBeGreaterThanOrEqual(40 * 8 * 0.5);
  });
});

describe("which changes are reported", () => {
  test("a delete and a new object of the same name, across a list, are both reported", async () => {
    server.calls(listOf("10", [thing("n/a", "1", "red", "old")]), listOf("90", [thing("n/a", "80", "blue", "new")]));
    server.watches(refuse(410, "Gone"));
    await reflect().synced;
    await eventually(() => contents().includes("n/a@80"));
    expect(changes).toEqual(["added n/a/old red", "deleted n/a/old red", "added n/a/new blue"]);
  });

  test("a delete and a new object of the same name, whose delete was missed in the watch, are both reported", async () => {
    server.calls(listOf("10", [thing("n/a", "1", "red", "old")]));
    server.watches(
      stream(
        lines(["MODIFIED", thing("n/a", "80", "blue", "new")], ["DELETED", thing("n/a", "70", "red", "old")]),
        "hold",
      ),
    );
    await reflect().synced;
    await eventually(() => contents().includes("n/a@80"));
    expect(changes).toEqual(["added n/a/old red", "deleted n/a/old red", "added n/a/new blue"]);
  });

  test("an event with a known version, or older than our own write, is not reported", async () => {
    server.calls(listOf("10", [thing("n/a", "9")]));
    let send = (_text: string) => {};
    server.watches((response) => {
      response.writeHead(200).flushHeaders();
      send = (text) => void response.write(text);
    });
    await reflect().synced;
    store.upsert(thing("n/a", "100", "written by us"));
    await eventually(() => watched().length === 1);
    send(lines(["MODIFIED", thing("n/a", "50", "older")], ["MODIFIED", thing("n/a", "100", "same")]));
    send(lines(["DELETED", thing("n/a", "60", "of an older life", "another uid")], ["ADDED", thing("n/z", "101")]));
    await eventually(() => contents().includes("n/z@101"));
    expect(store.get("n/a")?.color).toBe("written by us");
    expect(changes).toEqual(["added n/a/uid-n/a red", "added n/z/uid-n/z red"]);
  });

  test("an update comes with the previous object", async () => {
    const seen: Change<Thing>[] = [];
    server.calls(listOf("10", [thing("n/a", "9", "red")]));
    server.watches(stream(lines(["MODIFIED", thing("n/a", "11", "blue")]), "hold"));
    reflect({ onChange: (change) => seen.push(change) });
    await eventually(() => seen.length === 2);
    expect(seen[1]).toMatchObject({ type: "updated", object: { color: "blue" }, previous: { color: "red" } });
  });

  test("an empty list after a full one is reported, so that the consumer can check", async () => {
    server.calls(listOf("10", [thing("n/a", "1")]), listOf("20", []));
    server.watches(refuse(410, "Gone"));
    await reflect().synced;
    await eventually(() => changes.includes("deleted n/a/uid-n/a red"));
  });

  test("a list that was wrongly empty is corrected by the next one", async () => {
    server.calls(listOf("10", [thing("n/a", "1")]), listOf("20", []), listOf("30", [thing("n/a", "1")]));
    server.watches(refuse(410, "Gone"), refuse(410, "Gone"));
    await reflect().synced;
    await eventually(() => watchedFrom().includes("30"));
    expect(changes).toEqual(["added n/a/uid-n/a red", "deleted n/a/uid-n/a red", "added n/a/uid-n/a red"]);
    expect(contents()).toEqual(["n/a@1"]);
  });

  test("a list that fails half-way deletes nothing", async () => {
    server.calls(
      listOf("10", [thing("n/a", "1"), thing("n/b", "2")]),
      listOf("20", [thing("n/a", "1")], "more"),
      refuse(500, "InternalError"),
      listOf("30", [thing("n/a", "1"), thing("n/b", "2"), thing("n/c", "25")]),
    );
    server.watches(refuse(410, "Gone"));
    await reflect().synced;
    await eventually(() => contents().includes("n/c@25"));
    expect(changes.filter((change) => change.startsWith("deleted"))).toEqual([]);
  });

  test("an object that was written while a list was read does not count as deleted", async () => {
    let answerList = () => {};
    server.calls(listOf("10", [thing("n/a", "1")]), (response, request) => {
      answerList = () => listOf("20", [thing("n/a", "1")])(response, request);
    });
    server.watches(refuse(410, "Gone"));
    await reflect().synced;
    await eventually(() => listed().length === 2);
    store.upsert(thing("n/new", "25"));
    answerList();
    await eventually(() => watchedFrom().includes("20"));
    expect(contents()).toEqual(["n/a@1", "n/new@25"]);
  });

  test("a late answer cannot bring back what was deleted", async () => {
    server.calls(listOf("10", [thing("n/a", "5"), thing("n/b", "6")]), listOf("30", []));
    server.watches(stream(lines(["DELETED", thing("n/a", "20")]), "close"), refuse(410, "Gone"));
    await reflect().synced;
    await eventually(() => store.size === 0);
    store.upsert(thing("n/a", "15"));
    store.upsert(thing("n/b", "16"));
    expect(contents()).toEqual([]);
  });

  test("after the cluster was restored from a backup, its older versions count", async () => {
    server.calls(
      listOf("500", [thing("n/a", "400", "new"), thing("n/gone", "450")]),
      listOf("300", [thing("n/a", "200", "restored"), thing("n/b", "250")]),
    );
    server.watches(refuse(410, "Gone"), stream(lines(["MODIFIED", thing("n/b", "301", "later")]), "hold"));
    await reflect().synced;
    await eventually(() => contents().includes("n/b@301"));
    expect(contents()).toEqual(["n/a@200", "n/b@301"]);
    expect(store.get("n/a")?.color).toBe("restored");
  });
});

describe("robustness", () => {
  test("a handler that throws stops nothing, and is logged", async () => {
    server.calls(listOf("10", [thing("n/a", "1"), thing("n/b", "2")]));
    server.watches(stream(lines(["ADDED", thing("n/c", "11")]), "hold"));
    await reflect({
      onChange: () => {
        throw new Error("handler broke");
      },
    }).synced;
    await eventually(() => store.size === 3);
    expect(recorded.records.map(({ msg }) => msg)).toEqual(Array(3).fill("change handler failed"));
  });

  test("an object that cannot be read is logged and stays as it was, even after the next list, and its deletion is noticed", async () => {
    const bad = thing("n/a", "11", "unreadable");
    server.calls(listOf("10", [thing("n/a", "1"), thing("n/b", "2")]), listOf("20", [bad, thing("n/b", "2")]));
    server.watches(
      stream(lines(["MODIFIED", bad], ["ERROR", { code: 410 }]), "close"),
      stream(lines(["DELETED", thing("n/a", "30", "unreadable")]), "hold"),
    );
    await reflect({
      reduce: (raw) => {
        if ((raw as Thing).color === "unreadable") throw new Error("what is this?");
        return raw as Thing;
      },
    }).synced;
    await eventually(() => store.size === 1);
    expect(changes.slice(2)).toEqual(["deleted n/a/uid-n/a red"]);
    expect(recorded.records.filter(({ msg }) => msg === "object cannot be read").length).toBe(2);
  });

  test("reflectors of several namespaces share a store, and each removes only its own objects", async () => {
    server.calls(listOf("10", [thing("one/a", "1"), thing("one/b", "2")]));
    await reflect({ namespace: "one", path: `${PATH}/one` }).synced;
    await eventually(() => watched().length === 1);
    server.calls(listOf("10", [thing("two/a", "3")]), listOf("20", []));
    server.watches(refuse(410, "Gone"));
    await reflect({ namespace: "two", path: `${PATH}/two` }).synced;
    await eventually(() => changes.includes("deleted two/a/uid-two/a red"));
    expect(contents()).toEqual(["one/a@1", "one/b@2"]);
  });

  test.each([
    ["a list", () => server.calls(() => {})],
    ["a watch", () => server.calls(listOf("10", []))],
    ["a pause", () => server.calls(refuse(500, "InternalError"))],
  ])("stops at once during %s, and leaves no request behind", async (_when, prepare) => {
    prepare();
    const reflector = reflect({ backoff: { firstMs: 60_000, longestMs: 60_000 } });
    await eventually(() => server.requests.length > 0);
    const startedAtMs = performance.now();
    await reflector.stop();
    expect(performance.now() - startedAtMs).toBeLessThan(500);
    await eventually(() => server.openRequests === 0);
  });
});
