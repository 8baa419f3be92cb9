/** `ramster server`: a node that keeps no pages of its own and lends its memory. */
export { run } from "./node.ts";
