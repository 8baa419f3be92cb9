/** Words of the index's rows (tmem.ts). Word 0 links the chain of the hash bucket. */

// Rows of pages.
export const PAGE_OBJECT = 1;
export const PAGE_INDEX = 2;
export const PAGE_PREV = 3;
export const PAGE_NEXT = 4;
export const PAGE_VERSION_LO = 5;
export const PAGE_A = 6;
export const PAGE_B = 7;
export const WORDS_PER_PAGE = 8;

// Rows of objects.
export const OBJECT_OID = 1;
export const OBJECT_POOL = 7;
export const OBJECT_FIRST = 8;
export const OBJECT_PAGES = 9;
export const OBJECT_PREV = 10;
export const OBJECT_NEXT = 11;
export const WORDS_PER_OBJECT = 12;
