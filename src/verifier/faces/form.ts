/*
 * The body of OAuth's requests: application/x-www-form-urlencoded.
 */
import { type ParsedUrlQuery, parse } from "node:querystring";

/** A form that was read. */
export type Form = ParsedUrlQuery;

const FORM_TYPE = /^application\/x-www-form-urlencoded *(;|$)/i;

/** Reads a body by its header Content-Type; undefined if it is not a form. */
export function readForm(body: string, contentType = ""): Form | undefined {
  return FORM_TYPE.test(contentType) ? parse(body) : undefined;
}

/** All values of a field. */
export function valuesOf(form: Form, field: string): readonly string[] {
  const value = form[field];
  return value === undefined ? [] : typeof value === "string" ? [value] : value;
}

/** RFC 6749, 3.1: a field must not be given twice, and one without a value counts as left out. */
export function onlyValue(form: Form, field: string): string | undefined {
  const value = form[field];
  return typeof value === "string" && value !== "" ? value : undefined;
}
