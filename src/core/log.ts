/**
 * Where a node writes what happens to it: one line an event. The caller decides what becomes of it.
 */
export type Log = (area: string, line: string) => void;
