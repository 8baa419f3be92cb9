/**
 * Words of the index's rows. Word 0 links the chain of the hash bucket, or the free rows.
 *
 *     single   | link | object | index | prev | next | version | A | B |             8 words
 *     leaf     | link | object | index | prev | next | mask | 32 x (version, A, B) | 102 words
 *     object   | link | oid, six words | pool | first | pages | prev | next | sum | 13 words
 *
 * Singles and leaves are the *entries* of an object, and are on its list. `version` is the low word
 * of a page's version; A and B are its pampd (pampd.ts). `index` is that of the page, or of the
 * first page of a leaf. Bit i of `mask` is set while slot i has a page. `sum` is over the oid, the
 * pool and the indexes of the pages: see objects.ts.
 */

// Rows of singles and leaves.
export const ENTRY_OBJECT = 1;
export const ENTRY_INDEX = 2;
export const ENTRY_PREV = 3;
export const ENTRY_NEXT = 4;

// The words of one page.
export const PAGE_VERSION_LO = 0;
export const PAGE_A = 1;
export const PAGE_B = 2;
export const WORDS_PER_PAGE = 3;

export const SINGLE_PAGE = 5;
export const WORDS_PER_SINGLE = SINGLE_PAGE + WORDS_PER_PAGE;

/** Neighbouring pages that share a leaf. */
export const PAGES_PER_LEAF = 32;
export const LEAF_MASK = 5;
export const LEAF_PAGES = 6;
export const WORDS_PER_LEAF = LEAF_PAGES + PAGES_PER_LEAF * WORDS_PER_PAGE;

// Rows of objects.
export const OBJECT_OID = 1;
export const OBJECT_POOL = 7;
export const OBJECT_FIRST = 8;
export const OBJECT_PAGES = 9;
export const OBJECT_PREV = 10;
export const OBJECT_NEXT = 11;
export const OBJECT_SUM = 12;
export const WORDS_PER_OBJECT = 13;
