/*
 * Sends answers. For one that is sent many times, Node would check and write the same headers again and again, which takes as long as
 * to judge a token. So the head that Node has made is kept with the answer, and only its date is renewed.
 */
import type { ServerResponse } from "node:http";
import { type HttpAnswer, KeptAnswer } from "../faces/answer.ts";

/** Node keeps in this field the head that it has made, and sends what is in it. */
interface WithHead {
  _header: string | null | undefined;
}

/** Sends an answer before the request's body is read: nothing in it counts. */
export function send(response: ServerResponse, answer: HttpAnswer): void {
  const { body, isAscii } = answer;
  // What is to be the last answer on its connection says so in its head.
  if (answer instanceof KeptAnswer && response.shouldKeepAlive) writeKeptHead(response, answer);
  else writeHead(response, answer);
  if (body === undefined) response.end();
  else response.end(body, isAscii ? "latin1" : "utf8");
}

function writeHead(response: ServerResponse, { status, headers }: HttpAnswer): void {
  response.writeHead(status, headers as string[]);
}

function writeKeptHead(response: ServerResponse, answer: KeptAnswer): void {
  const { head } = answer;
  if (head !== undefined) {
    const date = formatDate();
    if (head.date !== date) {
      head.date = date;
      head.text = `${head.beforeDate}${date}${head.afterDate}`;
    }
    (response as unknown as WithHead)._header = head.text;
    return;
  }
  writeHead(response, answer);
  const made = (response as unknown as WithHead)._header;
  // Should a version of Node have no such field, Node makes every head.
  const [, beforeDate, afterDate] = (made && DATE.exec(made)) || [];
  if (beforeDate !== undefined && afterDate !== undefined) answer.head = { beforeDate, afterDate, date: "", text: "" };
}

/** The parts around a date in the form of RFC 9110, 5.6.7, which Node adds itself. */
const DATE = /^(.*\r\nDate: )[^\r]*(\r\n.*)$/s;

let date = "";
let dateEndsAtMs = 0;

/** The time of day, made once a second. */
function formatDate(): string {
  const nowMs = Date.now();
  if (nowMs >= dateEndsAtMs || nowMs < dateEndsAtMs - 1_000) {
    date = new Date(nowMs).toUTCString();
    dateEndsAtMs = nowMs - (nowMs % 1_000) + 1_000;
  }
  return date;
}
