/*
 * Sends answers. For one that is sent many times, Node would check and write the same headers again and again, which takes as long as
 * to judge a token. So the head that Node has made is kept with the answer, and only its date is renewed.
 */
import type { ServerResponse } from "node:http";
import { type HttpAnswer, KeptAnswer } from "../faces/answer.ts";
import { createHttpDate } from "./http-date.ts";

/** Node keeps in this field the head that it has made, and sends what is in it. */
interface WithHead {
  _header: string | null | undefined;
}

const formatDate = createHttpDate();

/** Sends an answer before the request's body is read: nothing in it counts. */
export function send(response: ServerResponse, answer: HttpAnswer): void {
  // A head and a body in one piece are Latin-1.
  if (answer instanceof KeptAnswer && answer.isAscii && isUsual(response)) sendKept(response, answer);
  else sendNew(response, answer);
}

/** What is to be the last answer on its connection says so in its head, and the answer to HEAD has no body. */
function isUsual({ shouldKeepAlive, req }: ServerResponse): boolean {
  return shouldKeepAlive && req.method !== "HEAD";
}

function sendNew(response: ServerResponse, { status, headers, body, isAscii }: HttpAnswer): void {
  response.writeHead(status, headers as string[]);
  if (body === undefined) response.end();
  else response.end(body, isAscii ? "latin1" : "utf8");
}

function sendKept(response: ServerResponse, answer: KeptAnswer): void {
  const sent = answer.at(formatDate());
  if (sent === undefined) {
    sendNew(response, answer);
    keep(response, answer);
    return;
  }
  (response as unknown as WithHead)._header = sent;
  response.end();
}

/** Keeps the head as Node has made it, and the body behind it: apart, they would be two writes. */
function keep(response: ServerResponse, answer: KeptAnswer): void {
  const made = (response as unknown as WithHead)._header;
  // Should a version of Node have no such field, Node makes every head.
  const [, beforeDate, afterDate] = (made && DATE.exec(made)) || [];
  if (beforeDate === undefined || afterDate === undefined) return;
  answer.keep(beforeDate, afterDate + (answer.body ?? ""));
}

/** The parts around a date in the form of RFC 9110, 5.6.7, which Node adds itself. */
const DATE = /^(.*\r\nDate: )[^\r]*(\r\n.*)$/s;
