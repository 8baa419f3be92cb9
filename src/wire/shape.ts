/**
 * Shape: whether JSON from another program is what it should be. Checked before it is used as that,
 * since a wrong type would fail later, far from its cause, or be printed as it is.
 *
 * Fields that are not named are left alone: later versions have more.
 */
import { WireError } from "../core/errors.ts";

export type Shape<T> = (value: unknown) => value is T;

export const isNumber: Shape<number> = (value): value is number => Number.isFinite(value);
export const isText: Shape<string> = (value) => typeof value === "string";
export const isFlag: Shape<boolean> = (value) => typeof value === "boolean";

export function orNull<T>(shape: Shape<T>): Shape<T | null> {
  return (value): value is T | null => value === null || shape(value);
}

export function orMissing<T>(shape: Shape<T>): Shape<T | undefined> {
  return (value): value is T | undefined => value === undefined || shape(value);
}

export function listOf<T>(shape: Shape<T>): Shape<T[]> {
  return (value): value is T[] => Array.isArray(value) && value.every(shape);
}

/** Any names, each with a value of that shape. */
export function mapOf<T>(shape: Shape<T>): Shape<Record<string, T>> {
  return (value): value is Record<string, T> => {
    return isObject(value) && Object.values(value).every(shape);
  };
}

export function fieldsOf<T>(fields: { readonly [K in keyof T]-?: Shape<T[K]> }): Shape<T> {
  const shapes = Object.entries(fields) as [string, Shape<unknown>][];
  return (value): value is T => {
    return isObject(value) && shapes.every(([name, shape]) => shape(own(value, name)));
  };
}

/** Throws WireError BAD_FRAME, which says that it is not `what`. */
export function parseShape<T>(text: string, what: string, shape: Shape<T>): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw wrong(what);
  }
  if (!shape(value)) throw wrong(what);
  return value;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function own(value: Record<string, unknown>, name: string): unknown {
  return Object.hasOwn(value, name) ? value[name] : undefined;
}

function wrong(what: string): WireError {
  return new WireError("BAD_FRAME", `Cannot read the answer of the node: it is not ${what}`);
}
