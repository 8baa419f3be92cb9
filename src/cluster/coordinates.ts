/**
 * Coordinates: the position of this node among the others. From the coordinates of any two nodes
 * follows the time of a round trip between them (Dabek and others, "Vivaldi", 2004). Serf adds
 * heights, adjustments, and a pull to the origin (hashicorp/serf, coordinate/client.go).
 *
 *     distance = |a.vec - b.vec| + a.height + b.height + a.adjustment + b.adjustment
 *
 * Each round trip is a spring between two nodes: this one moves until the spring is as long as the
 * round trip, by more the surer the other one is.
 */
import type { Random } from "../core/random.ts";
import { COORDINATE_DIMENSIONS, type Coordinate, isPlausible } from "../gossip/serf-coordinate.ts";

// Serf's own numbers.
const ERROR_MAX = 1.5;
/** The most that one round trip counts for, of the error and of the way. */
const ERROR_SHARE = 0.25;
const WAY_SHARE = 0.25;
const HEIGHT_MIN = 10e-6;
/** Round trips that the adjustment is made of. */
const ADJUSTMENT_COUNT = 20;
/** How far from the origin, in seconds, the pull to it is one second. */
const GRAVITY = 150;
/** Nothing is shorter, in seconds: places that are nearer count as one. */
const NEAREST = 1e-6;
const RTT_SECONDS_MAX = 10;

type Vector = readonly number[];

const ORIGIN: Coordinate = {
  vec: new Array<number>(COORDINATE_DIMENSIONS).fill(0),
  error: ERROR_MAX,
  adjustment: 0,
  height: HEIGHT_MIN,
};

export class Coordinates {
  private readonly random: Random;
  private coordinate = ORIGIN;
  /** By how much distances were too short lately. */
  private readonly misses: number[] = [];

  constructor(random: Random) {
    this.random = random;
  }

  get own(): Coordinate {
    return this.coordinate;
  }

  /** A round trip to one that says that it is at `other`. */
  observe(other: Coordinate, rttMs: number): void {
    const rtt = Math.max(NEAREST, rttMs / 1000);
    if (rtt > RTT_SECONDS_MAX) return;
    this.follow(other, rtt);
    this.adjust(other, rtt);
    this.push(ORIGIN, -((distance(ORIGIN, this.coordinate) / GRAVITY) ** 2));
    if (isPlausible(this.coordinate)) return;
    this.coordinate = ORIGIN;
    this.misses.length = 0;
  }

  private follow(other: Coordinate, rtt: number): void {
    const { error } = this.coordinate;
    const missing = rtt - distance(this.coordinate, other);
    const weight = error / Math.max(NEAREST, error + other.error);
    const share = ERROR_SHARE * weight;
    const now = (Math.abs(missing) / rtt) * share + error * (1 - share);
    this.coordinate = { ...this.coordinate, error: Math.min(ERROR_MAX, now) };
    this.push(other, WAY_SHARE * weight * missing);
  }

  private adjust(other: Coordinate, rtt: number): void {
    this.misses.push(rtt - rawDistance(this.coordinate, other));
    if (this.misses.length > ADJUSTMENT_COUNT) this.misses.shift();
    const sum = this.misses.reduce((a, b) => a + b, 0);
    // Half of it is the other one's.
    this.coordinate = { ...this.coordinate, adjustment: sum / (2 * ADJUSTMENT_COUNT) };
  }

  /** Moves away from `other`; by less than nothing: towards it. */
  private push(other: Coordinate, seconds: number): void {
    const { vec, height } = this.coordinate;
    const way = vec.map((it, i) => it - (other.vec[i] ?? 0));
    const length = lengthOf(way);
    const isApart = length > NEAREST;
    const along = isApart ? way.map((it) => it / length) : this.anyWay();
    const raised = isApart ? height + ((height + other.height) * seconds) / length : height;
    this.coordinate = {
      ...this.coordinate,
      vec: vec.map((it, i) => it + (along[i] ?? 0) * seconds),
      height: Math.max(HEIGHT_MIN, raised),
    };
  }

  /** Where two are at one place: a direction of length 1. */
  private anyWay(): Vector {
    const way = ORIGIN.vec.map(() => this.random.u32() + 1 - 2 ** 31);
    const length = lengthOf(way);
    return way.map((it) => it / length);
  }
}

/** In seconds. */
export function distance(a: Coordinate, b: Coordinate): number {
  const raw = rawDistance(a, b);
  const adjusted = raw + a.adjustment + b.adjustment;
  return adjusted > 0 ? adjusted : raw;
}

function rawDistance(a: Coordinate, b: Coordinate): number {
  return lengthOf(a.vec.map((it, i) => it - (b.vec[i] ?? 0))) + a.height + b.height;
}

function lengthOf(vector: Vector): number {
  return Math.hypot(...vector);
}
