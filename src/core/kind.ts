/** The two kinds of page, used as an index: of a pool, a frame, or a message. */
export const EPHEMERAL = 0;
export const PERSISTENT = 1;
export type Kind = typeof EPHEMERAL | typeof PERSISTENT;
