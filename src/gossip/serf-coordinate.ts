/**
 * Serf's network coordinate, the payload of an ack (hashicorp/serf, ping_delegate.go and
 * coordinate/coordinate.go). It places a member by its round trip times.
 *
 *     version 1, u8 | msgpack
 */
import { WireError } from "../core/errors.ts";
import { withId } from "./body.ts";
import { decodeMsgpack, encodeMsgpack, Fields } from "./msgpack.ts";

const VERSION = 1;
export const COORDINATE_DIMENSIONS = 8;
/** Far above any round trip. Larger values could overflow in sums and squares. */
const SECONDS_MAX = 1000;

/** In seconds, except `error`. */
export interface Coordinate {
  readonly vec: readonly number[];
  /** The expected error, as a fraction of a distance. */
  readonly error: number;
  /** Added to distances: the mean of their recent errors. */
  readonly adjustment: number;
  /** The way to the core of the network, which is part of each round trip. */
  readonly height: number;
}

export function encodeCoordinate({ vec, error, adjustment, height }: Coordinate): Uint8Array {
  const fields = { Vec: vec, Error: error, Adjustment: adjustment, Height: height };
  return withId(VERSION, encodeMsgpack(fields));
}

/** Null when the payload has no usable coordinate: the ack is valid without it. */
export function decodeCoordinate(payload: Uint8Array): Coordinate | null {
  if (payload[0] !== VERSION) return null;
  try {
    const fields = new Fields(decodeMsgpack(payload.subarray(1)));
    const coordinate = {
      vec: fields.list("Vec").map(numberOf),
      error: fields.float("Error"),
      adjustment: fields.float("Adjustment"),
      height: fields.float("Height"),
    };
    return isPlausible(coordinate) ? coordinate : null;
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    return null;
  }
}

export function isPlausible({ vec, error, adjustment, height }: Coordinate): boolean {
  return (
    vec.length === COORDINATE_DIMENSIONS &&
    error >= 0 &&
    height >= 0 &&
    [...vec, error, adjustment, height].every((it) => Math.abs(it) <= SECONDS_MAX)
  );
}

function numberOf(value: unknown): number {
  return typeof value === "number" ? value : Number.NaN;
}
