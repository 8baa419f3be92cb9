/** Bounds of connections that have not said who they are, and of descriptors, as in limits.ts. */
import { assert } from "./assert.ts";
import { GOSSIP_STREAMS_MAX, HTTP_CONNECTIONS_MAX } from "./limits.ts";

/**
 * Accepted connections that have not said who they are, at a door, and as many of known members:
 * with the memory of their TLS 7 MiB. Past it the oldest goes. That has to be slower than a
 * handshake: the oldest of 256 is a tenth of a second old when nothing but strangers is accepted.
 */
export const HANDSHAKES_MAX = 512;
/** Connections of NBD that have not chosen an export; past it the oldest goes. */
export const NBD_HANDSHAKES_MAX = 128;
/** Descriptors that no other door takes: of the runtime, listeners, the spill file, dials; HTTP. */
export const DESCRIPTORS_RESERVED = 16 + HTTP_CONNECTIONS_MAX;
/** What a process has where the system does not say. */
export const DESCRIPTORS_DEFAULT = 1024;
/**
 * Connections that all ports take in one turn. A port that took one past them takes none for a
 * while: for ACCEPT_REST_FACTOR times as long as these took, within bounds. An accept with TLS
 * takes a tenth of a millisecond, so these are 6 ms of 26, and 2,400 connections a second.
 */
export const ACCEPTS_PER_TURN_MAX = 64;
export const ACCEPT_REST_MS = 20;
export const ACCEPT_REST_MS_MAX = 100;
export const ACCEPT_REST_FACTOR = 3;
/** One source has at most a part in so many of them. */
export const ADMISSION_SHARE_PART = 2;
/** How often it is told that connections were closed for want of a place. */
export const ADMISSION_NOTICE_MS = 10_000;

// All that are accepted in one turn can speak in the next one, also when they are of one source.
const PLACES_MIN = Math.min(HANDSHAKES_MAX, NBD_HANDSHAKES_MAX, GOSSIP_STREAMS_MAX);
assert(PLACES_MIN / ADMISSION_SHARE_PART >= ACCEPTS_PER_TURN_MAX);
