/**
 * Coordinates: the position of this node among the others. The coordinates of two nodes predict the
 * round trip time between them (Dabek and others, "Vivaldi", 2004). Serf adds heights, adjustments,
 * and a pull to the origin (hashicorp/serf, coordinate/client.go).
 *
 *     distance = |a.vec - b.vec| + a.height + b.height + a.adjustment + b.adjustment
 *
 * Each measured round trip is a spring between two nodes. This node moves towards the spring's rest
 * length, and moves more when the other's error is small.
 */
import type { Random } from "../core/random.ts";
import { COORDINATE_DIMENSIONS, type Coordinate, isPlausible } from "../gossip/serf-coordinate.ts";

// The constants of Serf.
const ERROR_MAX = 1.5;
/** The largest weight of one round trip, for the error and for the move. */
const ERROR_SHARE = 0.25;
const WAY_SHARE = 0.25;
const HEIGHT_MIN = 10e-6;
/** The adjustment is the mean error of this many round trips. */
const ADJUSTMENT_COUNT = 20;
/** At this distance from the origin, in seconds, the pull to it is one second. */
const GRAVITY = 150;
/** The shortest distance, in seconds: nearer points count as one. */
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
  /** The errors of recent distances, in seconds. */
  private readonly misses: number[] = [];

  constructor(random: Random) {
    this.random = random;
  }

  get own(): Coordinate {
    return this.coordinate;
  }

  /** Learns from a round trip to a node whose coordinate is `other`. */
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
    // The other node adjusts by the other half.
    this.coordinate = { ...this.coordinate, adjustment: sum / (2 * ADJUSTMENT_COUNT) };
  }

  /** Moves away from `other`, or towards it for negative `seconds`. */
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

  /** A random direction of length 1, for two nodes at the same point. */
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
