/**
 * Serf's network coordinate, the payload of an ack (hashicorp/serf, ping_delegate.go and
 * coordinate/coordinate.go): where a member is by the time that round trips to it take.
 *
 *     version 1, u8 | msgpack
 */
import { WireError } from "../core/errors.ts";
import { withId } from "./body.ts";
import { decodeMsgpack, encodeMsgpack, Fields } from "./msgpack.ts";

const VERSION = 1;
export const COORDINATE_DIMENSIONS = 8;
/** No round trip is near that: with more, sums and squares could get out of hand. */
const SECONDS_MAX = 1000;

/** All but the error in seconds. */
export interface Coordinate {
  readonly vec: readonly number[];
  /** How far off it may be, as a part of distances. */
  readonly error: number;
  /** What is added to distances, from how far they were off lately. */
  readonly adjustment: number;
  /** The way to the network itself, which is part of each round trip. */
  readonly height: number;
}

export function encodeCoordinate({ vec, error, adjustment, height }: Coordinate): Uint8Array {
  const fields = { Vec: vec, Error: error, Adjustment: adjustment, Height: height };
  return withId(VERSION, encodeMsgpack(fields));
}

/** Null when there is none that can be used: an ack is good without it. */
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
