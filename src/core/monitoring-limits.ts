/** Bounds of what a node keeps and serves for people and programs that watch it. */
import { assert } from "./assert.ts";

/** Events that a node keeps: 64 KiB, and an evening of a cluster with trouble. */
export const EVENTS_KEPT = 256;
/** Characters of one event: its text may quote what a peer said. All of them fit one message. */
export const EVENT_LENGTH_MAX = 400;

/** Rows of the history: ten minutes of 2 s and a day of 2 minutes, 120 KiB in all. */
export const HISTORY_ROWS_MINUTES = 300;
export const HISTORY_ROWS_DAY = 720;
/** The oldest events that a page gets when it is opened. */
export const LIVE_EVENTS_MAX = 100;
/** Part of the node's one thread that live messages may use. Pages then get fewer of them. */
export const LIVE_SHARE = 0.01;

// HTTP door.

/** Live pages at once. They are connections, too. */
export const HTTP_STREAMS_MAX = 8;

/** Connections at once: a few monitoring systems. Beyond that the longest idle one is closed. */
export const HTTP_CONNECTIONS_MAX = 32;
/** The head of a request, and its first line. A browser with many cookies sends 4 KiB. */
export const HTTP_HEAD_BYTES_MAX = 8192;
export const HTTP_LINE_BYTES_MAX = 1024;
/** Input kept of a connection that sends requests before it has its answers. */
export const HTTP_INPUT_BYTES = 2 * HTTP_HEAD_BYTES_MAX;
/** From the connection, or the first byte, to the end of the head. */
export const HTTP_HEAD_TIMEOUT_MS = 10_000;
/** Between two requests: monitoring that asks once a minute keeps its connection. */
export const HTTP_IDLE_TIMEOUT_MS = 120_000;
/** An answer must be read in this time. */
export const HTTP_SEND_TIMEOUT_MS = 30_000;
/** After the last answer: how long the other side has to close. */
export const HTTP_LINGER_MS = 1000;
/** Answers that were not read yet, on all connections. Beyond that the answer is 503. */
export const HTTP_UNSENT_BYTES_MAX = 8 * 1024 * 1024;
/**
 * How much of the node's one thread the texts of counters may use: this long at once, then this
 * part of the time. Requests beyond that get the previous text.
 */
export const HTTP_TEXT_BURST_MS = 250;
export const HTTP_TEXT_SHARE = 0.05;

assert(HTTP_LINE_BYTES_MAX < HTTP_HEAD_BYTES_MAX && HTTP_HEAD_BYTES_MAX < HTTP_INPUT_BYTES);
