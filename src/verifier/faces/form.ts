/*
 * The body of OAuth's requests: application/x-www-form-urlencoded.
 */
import { unescape as decodePercents } from "node:querystring";

/** A form that was read: names and values in turn. */
export type Form = readonly string[];

const FORM = "application/x-www-form-urlencoded";
const FORM_TYPE = /^application\/x-www-form-urlencoded *(;|$)/i;

/** Reads a body by its header Content-Type; undefined if it is not a form. */
export function readForm(body: string, contentType = ""): Form | undefined {
  if (contentType !== FORM && !FORM_TYPE.test(contentType)) return undefined;
  const form: string[] = [];
  for (const field of body.split("&")) {
    if (field === "") continue;
    const equals = field.indexOf("=");
    if (equals < 0) form.push(decode(field), "");
    else form.push(decode(field.slice(0, equals)), decode(field.slice(equals + 1)));
  }
  return form;
}

/** Tokens and the names of their fields need no encoding. */
function decode(text: string): string {
  const spaced = text.includes("+") ? text.replaceAll("+", " ") : text;
  return spaced.includes("%") && /%[\da-f]{2}/i.test(spaced) ? decodePercents(spaced) : spaced;
}

/** All values of a field. */
export function valuesOf(form: Form, field: string): readonly string[] {
  const values: string[] = [];
  for (let place = 0; place < form.length; place += 2) {
    if (form[place] === field) values.push(form[place + 1] as string);
  }
  return values;
}

/** RFC 6749, 3.1: a field must not be given twice, and one without a value counts as left out. */
export function onlyValue(form: Form, field: string): string | undefined {
  let only: string | undefined;
  for (let place = 0; place < form.length; place += 2) {
    if (form[place] !== field) continue;
    if (only !== undefined) return undefined;
    only = form[place + 1];
  }
  return only === "" ? undefined : only;
}
