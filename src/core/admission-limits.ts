/** Bounds of connections before their handshake, and of descriptors. The rest is in limits.ts. */
import { assert } from "./assert.ts";
import { GOSSIP_STREAMS_MAX } from "./limits.ts";
import { HTTP_CONNECTIONS_MAX } from "./monitoring-limits.ts";

/**
 * Accepted connections of one door before their handshake, and as many from known members. With
 * TLS they take 7 MiB. Beyond that the oldest is closed. It must have had time for a handshake:
 * when only strangers connect, the oldest of 256 is a tenth of a second old.
 */
export const HANDSHAKES_MAX = 512;
/** NBD connections that have not chosen an export. Beyond that the oldest is closed. */
export const NBD_HANDSHAKES_MAX = 128;
/** Descriptors of the runtime, listeners, the spill file, dials and the HTTP door. */
export const DESCRIPTORS_RESERVED = 16 + HTTP_CONNECTIONS_MAX;
/** Descriptors of a process where the system does not say. */
export const DESCRIPTORS_DEFAULT = 1024;
/**
 * Connections that all ports accept in one turn. A port that would accept one more rests for
 * ACCEPT_REST_FACTOR times as long as these took, within bounds. An accept with TLS takes a tenth
 * of a millisecond. So accepts take 6 ms of 26, for 2,400 connections a second.
 */
export const ACCEPTS_PER_TURN_MAX = 64;
export const ACCEPT_REST_MS = 20;
export const ACCEPT_REST_MS_MAX = 100;
export const ACCEPT_REST_FACTOR = 3;
/** One source has at most one part in this many of them. */
export const ADMISSION_SHARE_PART = 2;
/** How often the log says that connections were closed because of these bounds. */
export const ADMISSION_NOTICE_MS = 10_000;

// All that are accepted in one turn can send in the next one, also when they have one source.
const PLACES_MIN = Math.min(HANDSHAKES_MAX, NBD_HANDSHAKES_MAX, GOSSIP_STREAMS_MAX);
assert(PLACES_MIN / ADMISSION_SHARE_PART >= ACCEPTS_PER_TURN_MAX);
