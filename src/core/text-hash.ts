/** FNV-1a (Fowler, Noll, Vo 1991): 32 bits of a text, for names that are compared now and then. */

const PRIME = 0x01000193;
/** The offset basis of FNV-1a. Another one gives another hash. */
export const FNV_BASIS = 0x811c9dc5;

/** @returns a signed word. */
export function textHash(text: string, basis: number = FNV_BASIS): number {
  let hash = basis | 0;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, PRIME);
  return hash;
}
